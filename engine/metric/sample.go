package metric

import "time"

// Extra is what is known of a sample but has too many values to make series of.
type Extra struct {
	URL      string // "" when there is none
	VU, Iter int64  // VU 0 outside of a VU's iterations
}

// Sample is one value as it was measured, for outputs that want every one.
type Sample struct {
	Metric *Metric
	Tags   *TagSet
	Extra  Extra
	Value  float64
	Time   time.Time
}
