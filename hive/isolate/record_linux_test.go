package isolate

import (
	"encoding/json"
	"reflect"
	"testing"

	"hive/hive"
)

// However a child ends, what it wrote down is there.
func TestRecordOutlivesTheChild(t *testing.T) {
	t.Parallel()
	e := start(t, Config{}, hive.Job{Run: "notes", Share: wholeShare(t),
		Options: json.RawMessage(`{"scenarios":{"s":{"executor":"shared-iterations","vus":5,"iterations":100},"v":{"executor":"per-vu-iterations","vus":2,"iterations":9}}}`)})
	if got := e.Begun(); got != nil {
		t.Errorf("of a child that lives: %+v, want nothing", got)
	}
	if err := e.Init(t.Context()); err == nil {
		t.Error("init of a child that exits: no error")
	}
	<-e.Done()
	got := e.Begun()
	if len(got) != 2 || got[0].Limit != 0 || !reflect.DeepEqual(got[1].Slots, map[int]int64{0: 5, 1: 7}) {
		t.Errorf("begun: %+v, want 0 in all of the one and 5 and 7 by the VUs of the other scenario", got)
	}
}
