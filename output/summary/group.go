package summary

import (
	"crypto/md5"
	"encoding/hex"
	"slices"
	"strings"
	"time"

	"hive/engine/metric"
)

// separator stands between the names of a group's path, and before the first one.
const separator = "::"

// group is a node of the tree that a script's groups form, with its own checks.
type group struct {
	name, path string
	first      time.Time // of the first sample in it or below
	groups     []*group  // by first sample
	checks     []check   // by first sample
	view       *metric.View
}

type check struct {
	name          string
	passes, fails uint64
}

// groupTree finds the groups of a view by the tag that samples carry: those that were entered or have
// checks.
func groupTree(v *metric.View) *group {
	root := &group{}
	for _, part := range v.Split("group") {
		if part.Get("group_duration") == nil && part.Get("checks") == nil {
			continue
		}
		g := root.at(part.Values[0], part.First)
		g.view = part.View
		g.checks = checks(part.View)
	}
	root.sort()
	return root
}

// at returns the group of a path, making it and those above it; its part in the tree begins at first.
func (g *group) at(path string, first time.Time) *group {
	if path == "" {
		return g
	}
	for name := range strings.SplitSeq(strings.TrimPrefix(path, separator), separator) {
		i := slices.IndexFunc(g.groups, func(c *group) bool { return c.name == name })
		if i < 0 {
			i = len(g.groups)
			g.groups = append(g.groups, &group{name: name, path: g.path + separator + name, first: first})
		}
		g = g.groups[i]
		if first.Before(g.first) {
			g.first = first
		}
	}
	return g
}

func (g *group) sort() {
	slices.SortStableFunc(g.groups, func(a, b *group) int { return a.first.Compare(b.first) })
	for _, c := range g.groups {
		c.sort()
	}
}

// checks are the checks of a view by name, in order of their first sample.
func checks(v *metric.View) []check {
	var all []check
	for _, g := range v.GroupBy("checks", "check") {
		if g.Values[0] != "" {
			all = append(all, check{g.Values[0], g.Trues, g.Total - g.Trues})
		}
	}
	return all
}

// id is how k6 names groups and checks: the MD5 of the path.
func id(path string) string {
	sum := md5.Sum([]byte(path))
	return hex.EncodeToString(sum[:])
}

func (g *group) head() map[string]any {
	return map[string]any{"name": g.name, "path": g.path, "id": id(g.path)}
}

func (g *group) check(c check) map[string]any {
	path := g.path + separator + c.name
	return map[string]any{"name": c.name, "path": path, "id": id(path), "passes": c.passes, "fails": c.fails}
}

// list is the group with groups and checks as arrays.
func (g *group) list() map[string]any {
	m := g.head()
	groups, checks := []any{}, []any{}
	for _, c := range g.groups {
		groups = append(groups, c.list())
	}
	for _, c := range g.checks {
		checks = append(checks, g.check(c))
	}
	m["groups"], m["checks"] = groups, checks
	return m
}

// byName is the group with groups and checks as objects.
func (g *group) byName() map[string]any {
	m := g.head()
	groups, checks := map[string]any{}, map[string]any{}
	for _, c := range g.groups {
		groups[c.name] = c.byName()
	}
	for _, c := range g.checks {
		checks[c.name] = g.check(c)
	}
	m["groups"], m["checks"] = groups, checks
	return m
}
