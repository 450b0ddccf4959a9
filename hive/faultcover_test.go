package hive

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// pointed are the functions by which a write gets its fault points, with its name as one of the arguments.
var pointed = []string{"write", "advance", "advanceIf", "putter", "around"}

// writing are the calls that change what lies in etcd, or etcd itself.
var writing = []string{"OpPut", "OpDelete", "Put", "Delete", "putJSON", "Deletion", "Grant", "Revoke", "MemberAddAsLearner", "MemberPromote", "MemberRemove", "MemberUpdate",
	"MoveLeader", "Compact", "Defragment", "AlarmDisarm"}

// ownWrites are the functions that write without fault points, and why: what they write is no leader's.
var ownWrites = map[string]string{
	"putJSON":        "does it for those that call it",
	"putter":         "names the write that it is asked for",
	"Store":          "an archive that was uploaded",
	"keepUpload":     "the same",
	"enqueue":        "what a client asks for",
	"control":        "the same",
	"amend":          "a node's own record",
	"endEarlier":     "the lease of the same node's process before this one",
	"layCharter":     "the hive's, before there is a leader",
	"writeStatus":    "a node's own word",
	"writeMarks":     "the same",
	"becomeMember":   "takes back what the node began itself",
	"correctPeerURL": "a node's own address",
	"done":           "a part of writes that have fault points",
	"statePuts":      "the same",
	"noteOps":        "the same",
	"moveWork":       "the same",
	"recordLives":    "the same",
	"staleMarks":     "the same",
}

// sources are the functions of this package, by the names of their files.
func sources(t *testing.T) map[string]*ast.FuncDecl {
	t.Helper()
	names, err := fs.Glob(os.DirFS("."), "*.go")
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]*ast.FuncDecl{}
	set := token.NewFileSet()
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(set, name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok {
				found[set.Position(f.Pos()).String()] = f
			}
		}
	}
	return found
}

// calls yields the calls in a function with the names of what is called, those of package slices left out.
func calls(f *ast.FuncDecl, yield func(name string, c *ast.CallExpr)) {
	ast.Inspect(f, func(n ast.Node) bool {
		c, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		switch fun := c.Fun.(type) {
		case *ast.Ident:
			yield(fun.Name, c)
		case *ast.SelectorExpr:
			if of, ok := fun.X.(*ast.Ident); !ok || of.Name != "slices" {
				yield(fun.Sel.Name, c)
			}
		}
		return true
	})
}

// textIn is the text among the arguments of a call.
func textIn(c *ast.CallExpr) (name string, ok bool) {
	for _, arg := range c.Args {
		if lit, is := arg.(*ast.BasicLit); is && lit.Kind == token.STRING {
			name, err := strconv.Unquote(lit.Value)
			return name, err == nil
		}
	}
	return "", false
}

// Every write of the leader, and of nodes on its behalf, has a name of its own and a test that kills the process before
// and after it; and there are no others.
func TestFaultPointsAreCovered(t *testing.T) {
	covered := slices.Concat(tidyPoints, growthPoints, removalPoints, roomPoints, vetoPoints)
	for _, p := range plots() {
		covered = append(covered, p.points...)
	}
	for _, d := range dutyPoints {
		covered = append(covered, d.point)
	}
	there := map[string]string{}
	for where, f := range sources(t) {
		named := false
		var direct []string
		calls(f, func(call string, c *ast.CallExpr) {
			if slices.Contains(writing, call) {
				direct = append(direct, call)
			}
			if !slices.Contains(pointed, call) {
				return
			}
			name, ok := textIn(c)
			if !ok {
				return // it passes on what it was given
			}
			named = true
			if other, twice := there[name]; twice {
				t.Errorf("%s: a write is called %q, as one at %s is", where, name, other)
			}
			there[name] = where
		})
		if why := ownWrites[f.Name.Name]; len(direct) > 0 && !named && why == "" {
			t.Errorf("%s: %s writes (%s) without a fault point", where, f.Name.Name, strings.Join(direct, ", "))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(there)) {
		for _, point := range around(name) {
			if !slices.Contains(covered, point) {
				t.Errorf("%s: no test kills the process at %q", there[name], point)
			}
		}
	}
	for _, point := range covered {
		_, name, _ := strings.Cut(point, " ")
		if there[name] == "" {
			t.Errorf("a test kills at %q, and there is no such write", point)
		}
	}
}
