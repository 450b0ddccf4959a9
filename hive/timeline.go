package hive

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// EventTimeline is what an entry of the timeline is called in a run's stream; its Data is a [TimelineEvent].
const EventTimeline = "timeline"

// The kinds of entries in a run's timeline.
const (
	TimelineStart       = "start"
	TimelineNodeLost    = "node-lost"
	TimelineNodeJoined  = "node-joined"
	TimelineNodeDrained = "node-drained"
	TimelineNodeBack    = "node-returned" // before its share was dealt anew
	TimelineEpoch       = "epoch"
	TimelineLeader      = "leader"
	TimelinePause       = "pause"
	TimelineResume      = "resume"
	TimelineScale       = "scale"
	TimelineDerate      = "derate"
	TimelineOverload    = "overload"
	TimelineOutage      = "outage"
	TimelineHold        = "hold-still"
	TimelineEtcd        = "etcd-trouble"
	TimelineFenced      = "fenced"
	TimelineStalled     = "stalled" // an engine was given no time
	TimelineClock       = "clock"   // a wall clock was set
	TimelineEngineDied  = "engine-died"
	TimelineStop        = "stop"
	TimelineEnd         = "end"
)

// maxTimeline bounds the entries that a run keeps; what happens after that is counted in the last one.
const maxTimeline = 5000

// TimelineEvent is one thing that happened to a run: when, to whom, and what it cost.
type TimelineEvent struct {
	N       int64              `json:"n"`              // from 1
	At      time.Duration      `json:"at"`             // on the run's clock
	Wall    time.Time          `json:"wall"`           // by the leader's wall clock
	Kind    string             `json:"kind"`           // see the Timeline constants
	Node    string             `json:"node,omitempty"` // name of the node it is about
	Message string             `json:"message"`
	Cost    map[string]float64 `json:"cost,omitempty"` // by what: slots, seconds, lost, unknown
}

// notesAtOnce bounds the entries that are written in one transaction.
const notesAtOnce = 20

// note queues an entry of the timeline. It is written together with the next change of the state.
func (d *driver) note(kind, node, message string, cost map[string]float64) {
	d.notes = append(d.notes, TimelineEvent{At: d.now(), Wall: time.Now().UTC(), Kind: kind, Node: node, Message: message, Cost: cost})
}

// noteOps numbers the queued entries and makes the writes of them. Past the bound, the last entry counts the rest.
func (d *driver) noteOps(s *State) ([]clientv3.Op, []TimelineEvent, error) {
	var ops []clientv3.Op
	var written []TimelineEvent
	for _, e := range d.notes[:min(len(d.notes), notesAtOnce)] {
		s.Events++
		e.N = s.Events
		if s.Events > maxTimeline {
			more := s.Events - maxTimeline + 1
			e.N, e.Message = maxTimeline, fmt.Sprintf("%d more entries; the last of them: %s", more, e.Message)
		}
		value, err := json.Marshal(e)
		if err != nil {
			return nil, nil, fmt.Errorf("timeline: %w", err)
		}
		if n := len(written); n > 0 && written[n-1].N == e.N { // a key may be written once in a transaction
			ops, written = ops[:n-1], written[:n-1]
		}
		ops = append(ops, clientv3.OpPut(d.n.keys.TimelineEvent(d.id, e.N), string(value)))
		written = append(written, e)
	}
	return ops, written, nil
}

// noted takes written entries from the queue and tells those who listen.
func (d *driver) noted(written []TimelineEvent) {
	d.notes = slices.Clone(d.notes[min(len(d.notes), notesAtOnce):])
	for _, e := range written {
		d.hub.publish(EventTimeline, e)
	}
}

// writeNotes writes entries that no change of the state has taken along.
func (d *driver) writeNotes(ctx context.Context) error {
	if len(d.notes) == 0 || d.st.Phase == Finished || d.rev == 0 {
		return nil
	}
	return d.advance(ctx, "timeline", func(*State) {})
}

// showTimeline tells those who listen what was written before this leader's time.
func (d *driver) showTimeline() {
	kvs, _ := d.keys.All()
	for _, key := range slices.Sorted(maps.Keys(kvs)) {
		var e TimelineEvent
		if strings.HasPrefix(key, d.n.keys.Timeline(d.id)) && json.Unmarshal(kvs[key].Value, &e) == nil {
			d.hub.publish(EventTimeline, e)
		}
	}
}

// timeline reads what has been written of a run's timeline, in order.
func (n *Node) timeline(ctx context.Context, run string) ([]TimelineEvent, error) {
	resp, err := n.etcd.Get(ctx, n.keys.Timeline(run), clientv3.WithPrefix(), clientv3.WithSort(clientv3.SortByKey, clientv3.SortAscend))
	if err != nil {
		return nil, fmt.Errorf("read the timeline: %w", err)
	}
	var all []TimelineEvent
	for _, kv := range resp.Kvs {
		var e TimelineEvent
		if json.Unmarshal(kv.Value, &e) == nil {
			all = append(all, e)
		}
	}
	return all, nil
}

// plural writes a number of things for people: "1 node", "2 nodes".
func plural(n int, one, more string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, more)
}

// seconds shows a time on the run's clock to people.
func seconds(d time.Duration) string { return fmt.Sprintf("%.1fs", d.Seconds()) }
