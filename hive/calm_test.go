package hive

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestCalm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c calm
		nothing := func() (bool, error) { return false, nil }
		if err := c.change(nothing); err != nil || !c.agree() {
			t.Errorf("agreement after a look at the members was refused, error %v", err)
		}
		if err := c.change(func() (bool, error) { t.Error("the members were changed during an agreement"); return true, nil }); err != nil {
			t.Error(err)
		}
		c.setAgreeing(false)
		broken := errors.New("no quorum")
		err := c.change(func() (bool, error) {
			if c.agree() {
				t.Error("an agreement began while the members were being changed")
			}
			return true, broken
		})
		if !errors.Is(err, broken) {
			t.Errorf("error %v, want that of the change", err)
		}
		time.Sleep(settle - time.Millisecond)
		if c.agree() {
			t.Error("an agreement began just after a change of the members")
		}
		time.Sleep(time.Millisecond)
		if !c.agree() {
			t.Error("no agreement began when the members had settled")
		}
	})
}

// TestCalmHasAnEnd changes the members without end: an agreement is not put off for ever.
func TestCalmHasAnEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c calm
		began := time.Now()
		for !c.agree() {
			if err := c.change(func() (bool, error) { return true, nil }); err != nil {
				t.Fatal(err)
			}
			if time.Sleep(settle / 4); time.Since(began) > 2*patience {
				t.Fatal("an agreement waits for ever")
			}
		}
	})
}
