package metric

import (
	"encoding/binary"
	"fmt"
	"hash/maphash"
	"slices"
	"strings"
	"sync/atomic"
)

// Tag is one key with its value.
type Tag struct{ Key, Value string }

// TagSet is an immutable set of tags, at most one per key. Sets of one Registry are interned: equal
// sets are the same pointer. It is safe for concurrent use.
type TagSet struct {
	reg   *Registry
	pairs []Tag // sorted by key

	// steps are the sets reached from this one before, by the hash of what was asked. Readers take
	// the published map without a lock; misses lock the registry, see step.
	steps  atomic.Pointer[map[uint64]*edge]
	fresh  map[uint64]*edge // superset of the published map; guarded by reg.mu
	misses int              // since the last publication; guarded by reg.mu
}

// edge is one remembered step from a set to another. Edges of equal hash are chained.
type edge struct {
	drop string // the key removed; "" when tags were added
	tags []Tag  // the tags added, as the caller gave them
	to   *TagSet
	next *edge
}

// folded is the value that stands for all values past the limit of distinct tag sets.
const folded = "(more)"

// Root is the empty set, from which all others are made.
func (r *Registry) Root() *TagSet { return r.root }

// With returns the set that also has key with value, in place of the value it had before.
// Repeated calls find their answer in a cache and do not allocate.
func (t *TagSet) With(key, value string) *TagSet {
	one := [1]Tag{{key, value}}
	return t.step("", one[:])
}

// WithAll is With for several tags at once; of tags with the same key the last one counts.
func (t *TagSet) WithAll(tags []Tag) *TagSet {
	if len(tags) == 0 {
		return t
	}
	return t.step("", tags)
}

// Without returns the set that has no tag of that key.
func (t *TagSet) Without(key string) *TagSet {
	if _, ok := t.Get(key); !ok {
		return t
	}
	return t.step(key, nil)
}

// Get returns the value of key and whether the set has it.
func (t *TagSet) Get(key string) (string, bool) {
	for i := range t.pairs {
		if t.pairs[i].Key == key {
			return t.pairs[i].Value, true
		}
	}
	return "", false
}

// Pairs returns the tags sorted by key. The caller must not modify them.
func (t *TagSet) Pairs() []Tag { return t.pairs }

// step goes from t to the set without drop and with tags, by the cache if it can.
func (t *TagSet) step(drop string, tags []Tag) *TagSet {
	h := t.reg.hash(drop, tags)
	if m := t.steps.Load(); m != nil {
		if to := follow((*m)[h], drop, tags); to != nil {
			return to
		}
	}
	return t.reg.step(t, h, drop, tags)
}

func follow(e *edge, drop string, tags []Tag) *TagSet {
	for ; e != nil; e = e.next {
		if e.drop == drop && slices.Equal(e.tags, tags) {
			return e.to
		}
	}
	return nil
}

func (r *Registry) hash(drop string, tags []Tag) uint64 {
	h := uint64(len(tags))
	if drop != "" {
		h = maphash.String(r.seed, drop)
	}
	for i := range tags {
		h = h*0x9E3779B97F4A7C15 + maphash.String(r.seed, tags[i].Key)
		h = h*0x9E3779B97F4A7C15 + maphash.String(r.seed, tags[i].Value)
	}
	return h
}

// step is the slow path: it interns the result and remembers the way.
func (r *Registry) step(t *TagSet, h uint64, drop string, tags []Tag) *TagSet {
	r.mu.Lock()
	to := follow(t.fresh[h], drop, tags)
	var warning string
	if to == nil {
		var exact bool
		to, exact = r.intern(t, drop, tags, &warning)
		if exact && r.edges < 4*r.limit {
			r.edges++
			if t.fresh == nil {
				t.fresh = map[uint64]*edge{}
			}
			t.fresh[h] = &edge{drop: drop, tags: cloneTags(tags), to: to, next: t.fresh[h]}
		}
	}
	t.publish()
	r.mu.Unlock()

	if warning != "" {
		if say := r.warn.Load(); say != nil {
			(*say)(warning)
		}
	}
	return to
}

// cloneTags copies tags and their strings, which may be small parts of large ones.
func cloneTags(tags []Tag) []Tag {
	c := make([]Tag, len(tags))
	for i, t := range tags {
		c[i] = Tag{strings.Clone(t.Key), strings.Clone(t.Value)}
	}
	return c
}

// publish makes the fresh steps visible to readers once as many misses happened as there are steps,
// so that the copying costs no more than the misses did; reg.mu is held.
func (t *TagSet) publish() {
	if t.misses++; t.misses < len(t.fresh) {
		return
	}
	t.misses = 0
	m := make(map[uint64]*edge, len(t.fresh))
	for h, e := range t.fresh {
		m[h] = e
	}
	t.steps.Store(&m)
}

// intern returns the set of t without drop and with tags, and whether it is exactly that: past the
// limit, values are folded or, when even that would make a new set, left out. r.mu is held.
func (r *Registry) intern(t *TagSet, drop string, tags []Tag, warning *string) (to *TagSet, exact bool) {
	pairs := merge(t.pairs, drop, tags)
	key := canonical(pairs)
	if to := r.sets[string(key)]; to != nil {
		return to, true
	}
	exact = true
	if len(r.sets) >= r.limit && drop == "" {
		tags, exact = foldTags(tags, len(r.sets) >= 2*r.limit)
		pairs = merge(t.pairs, "", tags)
		key = canonical(pairs)
		if to := r.sets[string(key)]; to != nil {
			return to, exact
		}
		if len(r.sets) >= 3*r.limit {
			return t, false
		}
	}
	to = &TagSet{reg: r, pairs: cloneTags(pairs)}
	r.sets[string(key)] = to
	switch len(r.sets) {
	case r.limit / 10:
		*warning = fmt.Sprintf("the script has made %d distinct combinations of tags (of at most %d): if ids in URLs are the reason, group the requests with the name tag or http.url", len(r.sets), r.limit)
	case r.limit:
		*warning = fmt.Sprintf("the script has made %d distinct combinations of tags, the most that are kept apart: from now on new values are counted together as %q", r.limit, folded)
	}
	return to, exact
}

// merge returns pairs without drop and with tags, sorted, in new memory.
func merge(pairs []Tag, drop string, tags []Tag) []Tag {
	out := make([]Tag, 0, len(pairs)+len(tags))
	for _, p := range pairs {
		if drop == "" || p.Key != drop {
			out = append(out, p)
		}
	}
	for _, tag := range tags {
		i, found := slices.BinarySearchFunc(out, tag.Key, func(t Tag, key string) int { return strings.Compare(t.Key, key) })
		if found {
			out[i].Value = tag.Value
		} else {
			out = slices.Insert(out, i, tag)
		}
	}
	return out
}

// canonical encodes sorted pairs so that different pairs have different encodings.
func canonical(pairs []Tag) []byte {
	var b []byte
	for _, p := range pairs {
		b = binary.AppendUvarint(b, uint64(len(p.Key)))
		b = append(b, p.Key...)
		b = binary.AppendUvarint(b, uint64(len(p.Value)))
		b = append(b, p.Value...)
	}
	return b
}

// smallVocabulary are the tags whose values come from a short list, so that folding them would
// lose much and win little.
var smallVocabulary = ParseSystemTags([]string{
	"proto", "subproto", "status", "method", "group", "check", "error_code", "tls_version", "scenario", "service",
	"expected_response", "ocsp_status",
}).Names()

// foldTags returns tags with the values folded, those of small vocabularies only if all is set, and
// whether that left them as they were.
func foldTags(tags []Tag, all bool) (out []Tag, same bool) {
	out, same = slices.Clone(tags), true
	for i, t := range out {
		if t.Value != folded && (all || !slices.Contains(smallVocabulary, t.Key)) {
			out[i].Value, same = folded, false
		}
	}
	return out, same
}
