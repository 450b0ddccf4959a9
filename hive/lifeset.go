package hive

import "slices"

// lifeSet is a set of incarnations: ranges [first, last], ascending and apart. They are numbered one after the other and
// end nearly so, which keeps the set small.
type lifeSet [][2]int64

// has says whether n is in the set.
func (s lifeSet) has(n int64) bool {
	i, found := s.find(n)
	return found || i > 0 && n <= s[i-1][1]
}

// find is the first range that begins at or after n.
func (s lifeSet) find(n int64) (int, bool) {
	return slices.BinarySearchFunc(s, n, func(r [2]int64, n int64) int { return int(min(max(r[0]-n, -1), 1)) })
}

// with is the set with n in it.
func (s lifeSet) with(n int64) lifeSet {
	if s.has(n) {
		return s
	}
	i, _ := s.find(n)
	next := slices.Insert(slices.Clone(s), i, [2]int64{n, n})
	if i+1 < len(next) && next[i+1][0] == n+1 {
		next[i][1] = next[i+1][1]
		next = slices.Delete(next, i+1, i+2)
	}
	if i > 0 && next[i-1][1] == n-1 {
		next[i-1][1] = next[i][1]
		next = slices.Delete(next, i, i+1)
	}
	return next
}

// len is how many are in the set.
func (s lifeSet) len() (n int64) {
	for _, r := range s {
		n += r[1] - r[0] + 1
	}
	return n
}
