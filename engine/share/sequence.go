package share

// Sequence is one owner's part of an endless deal: ascending unit numbers. Next is for one goroutine; At and
// Before are pure and safe from any.
type Sequence struct {
	offsets []int64 // the owner's units in one period
	period  int64
	next    int64
}

// NewSequence deals one period to owners with the given weights and keeps the part of one of them; everything after
// is arithmetic. It is empty for an owner without weight.
func NewSequence(weights []int, owner int) *Sequence {
	d := NewDealer(weights)
	s := &Sequence{period: int64(d.period)}
	for i := range s.period {
		if d.Next() == owner {
			s.offsets = append(s.offsets, i)
		}
	}
	return s
}

// Sequences are the parts of all owners, dealt in one go.
func Sequences(weights []int) []*Sequence {
	d := NewDealer(weights)
	all := make([]*Sequence, len(weights))
	for i := range all {
		all[i] = &Sequence{period: int64(d.period)}
	}
	for i := range int64(d.period) {
		s := all[d.Next()]
		s.offsets = append(s.offsets, i)
	}
	return all
}

// Empty reports that the owner gets nothing, ever.
func (s *Sequence) Empty() bool { return len(s.offsets) == 0 }

// Next returns the next number, or -1 when the sequence is empty.
func (s *Sequence) Next() int64 {
	n := s.At(s.next)
	s.next++
	return n
}

// At returns the n-th number, from 0, or -1 when the sequence is empty.
func (s *Sequence) At(n int64) int64 {
	own := int64(len(s.offsets))
	if own == 0 || n < 0 {
		return -1
	}
	return n/own*s.period + s.offsets[n%own]
}

// Before returns how many numbers of the sequence are below limit.
func (s *Sequence) Before(limit int64) int64 {
	if s.Empty() || limit <= 0 {
		return 0
	}
	rest, n := limit%s.period, limit/s.period*int64(len(s.offsets))
	for _, o := range s.offsets {
		if o >= rest {
			break
		}
		n++
	}
	return n
}
