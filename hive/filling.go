package hive

import (
	"fmt"
	"time"
)

// filling is an epoch whose VUs may not run everywhere yet.
type filling struct {
	epoch int           // 0 for none
	told  time.Duration // since when they do, as the timeline has it
	// first is the first of the epochs up to this one since when VUs never ran everywhere, and from when it was to be so.
	first int
	from  time.Duration
}

// then is the next epoch to be filled, whether this one has been or not.
func (f filling) then(epoch int, told time.Duration) filling {
	next := filling{epoch: epoch, told: told, first: epoch, from: told}
	if f.epoch != 0 {
		next.first, next.from = f.first, f.from
	}
	return next
}

// findFilling finds an epoch to be filled that this leader has not begun itself, or of whose beginning it had no answer.
func (d *driver) findFilling() {
	if d.st.Phase != Running || d.st.From <= 0 || d.filling.epoch == d.st.Epoch {
		return
	}
	for _, m := range d.living() {
		if s, ok := d.said(m); !ok || s.Whole < d.st.Epoch {
			d.filling = d.filling.then(d.st.Epoch, d.st.From)
			return
		}
	}
}

// fillingLate is how much later than that is worth an entry.
const fillingLate = 200 * time.Millisecond

// tellFilled corrects the timeline once the VUs of an epoch run everywhere, when that took longer than was told: they
// had to be initialised, or to be let go by other nodes. Nodes that have ended before that do not tell any more.
func (d *driver) tellFilled() {
	if d.filling.epoch == 0 {
		return
	}
	since := d.filling.told
	for _, m := range d.living() {
		s, ok := d.said(m)
		if !ok || s.Whole < d.filling.epoch {
			return
		}
		if s.Whole == d.filling.epoch {
			since = max(since, s.WholeAt)
		}
	}
	if late := since - d.filling.told; late > fillingLate {
		d.note(TimelineEpoch, "", fmt.Sprintf("the moved VUs of epoch %d all run on their new nodes since %s: %s after it began", d.filling.epoch, seconds(since), seconds(late)),
			map[string]float64{"seconds": late.Seconds()})
	}
	d.filling = filling{}
}

// unfilledAfter is how long after an epoch began VUs that still do not run at the end of the load are worth an entry.
const unfilledAfter = 5 * time.Second

// tellUnfilled says when the load ends, by itself or not, that VUs which moved never ran everywhere, though the timeline
// told so.
func (d *driver) tellUnfilled() {
	if d.st.Phase != Running {
		return
	}
	d.tellFilled()
	missing := min(d.now(), d.regularEnd()) - d.filling.from
	if d.filling.epoch == 0 || missing < unfilledAfter {
		return
	}
	d.note(TimelineEpoch, "", fmt.Sprintf("not all of the VUs that moved ran on their new nodes from epoch %d until the load ended, %s later: they were not initialised there, or not let go by others", d.filling.first, seconds(missing)),
		map[string]float64{"seconds": missing.Seconds()})
	d.warn("not all VUs that moved at %s or later ran on their new nodes before the load ended: they were not initialised there, or not let go by others", seconds(d.filling.from))
}
