package hive

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"hive/engine/options"
	"hive/registry"
)

// StopRequest asks for the end of a run.
type StopRequest struct {
	Mode StopMode `json:"mode"` // empty: interrupt
	Kind Kind     `json:"kind"` // interrupted or stopped; empty: stopped
	By   string   `json:"by,omitempty"`
}

// PauseRequest asks for a pause of a run, or for its end.
type PauseRequest struct {
	By string `json:"by,omitempty"`
}

// ScaleRequest asks for another number of VUs in an externally-controlled scenario.
type ScaleRequest struct {
	VUs      *int   `json:"vus"`
	Scenario string `json:"scenario,omitempty"` // empty: the only one there is
	By       string `json:"by,omitempty"`
}

func (n *Node) stopRun(w http.ResponseWriter, r *http.Request) error {
	var req StopRequest
	if err := readJSON(w, r, maxSubmission, &req); err != nil {
		return err
	}
	c := Control{Action: "stop", Mode: req.Mode, Kind: req.Kind, By: req.By}
	if c.Mode == "" {
		c.Mode = StopInterrupt
	}
	if c.Kind == "" {
		c.Kind = KindStopped
	}
	if c.Mode != StopInterrupt && c.Mode != StopGraceful || c.Kind != KindStopped && c.Kind != KindInterrupted {
		return refuse(http.StatusBadRequest, codeBadRequest, "mode %q and kind %q: want interrupt or graceful, and stopped or interrupted", req.Mode, req.Kind)
	}
	return n.take(w, r, c)
}

func (n *Node) pauseRun(w http.ResponseWriter, r *http.Request) error {
	return n.takePause(w, r, "pause")
}

func (n *Node) resumeRun(w http.ResponseWriter, r *http.Request) error {
	return n.takePause(w, r, "resume")
}

func (n *Node) takePause(w http.ResponseWriter, r *http.Request, action string) error {
	var req PauseRequest
	if err := readJSON(w, r, maxSubmission, &req); err != nil {
		return err
	}
	return n.take(w, r, Control{Action: action, By: req.By})
}

func (n *Node) scaleRun(w http.ResponseWriter, r *http.Request) error {
	var req ScaleRequest
	if err := readJSON(w, r, maxSubmission, &req); err != nil {
		return err
	}
	if req.VUs == nil {
		return refuse(http.StatusBadRequest, codeBadRequest, "vus is missing: want the number of VUs, 0 or more")
	}
	return n.take(w, r, Control{Action: "scale", Scenario: req.Scenario, VUs: *req.VUs, By: req.By})
}

// take leaves a request for the leader, unless the run as it stands makes it pointless.
func (n *Node) take(w http.ResponseWriter, r *http.Request, c Control) error {
	return ask(r, func(ctx context.Context) error {
		if err := n.control(ctx, r.PathValue("id"), c); err != nil {
			return err
		}
		writeJSON(w, http.StatusAccepted, map[string]string{"status": "asked"})
		return nil
	})
}

// control writes a request beside the run. A stop also touches the queue's key, which wakes the leader when the run
// still waits.
func (n *Node) control(ctx context.Context, id string, c Control) error {
	var spec Spec
	found, err := getJSON(ctx, n.etcd, n.keys.Spec(id), &spec)
	if err != nil {
		return err
	}
	if !found {
		return noRun(id)
	}
	if c.Action != "stop" {
		if err := n.sensible(ctx, spec, c); err != nil {
			return err
		}
	}
	value, err := json.Marshal(c)
	if err != nil {
		return fmt.Errorf("%s: %w", c.Action, err)
	}
	ops := []clientv3.Op{clientv3.OpPut(n.keys.Control(id, NewRunID()), string(value))}
	if c.Action == "stop" {
		entry, err := json.Marshal(queueEntry{Archive: spec.Archive, Stop: &c})
		if err != nil {
			return fmt.Errorf("stop: %w", err)
		}
		ops = append(ops, clientv3.OpPut(n.keys.Queued(id), string(entry)))
	}
	var resp *clientv3.TxnResponse
	err = persist(ctx, func(ctx context.Context) (err error) { // the same request, however often
		resp, err = n.etcd.Txn(ctx).If(clientv3.Compare(clientv3.CreateRevision(n.keys.Queued(id)), ">", 0)).Then(ops...).Commit()
		return err
	})
	if err != nil {
		return fmt.Errorf("%s: %w", c.Action, err)
	}
	if !resp.Succeeded {
		return refuse(http.StatusConflict, codeConflict, "run %s has finished", id)
	}
	return nil
}

// sensible refuses what makes no sense for the run as it stands.
func (n *Node) sensible(ctx context.Context, spec Spec, c Control) error {
	var opts options.Options
	if err := json.Unmarshal(spec.Options, &opts); err != nil {
		return fmt.Errorf("options of run %s: %w", spec.ID, err)
	}
	st := State{Phase: Queued}
	if _, err := getJSON(ctx, n.etcd, n.keys.State(spec.ID), &st); err != nil {
		return err
	}
	if st.Phase == Finished {
		return refuse(http.StatusConflict, codeConflict, "run %s has finished", spec.ID)
	}
	err := checkControl(opts, st, c)
	if _, answered := errors.AsType[*statusError](err); err == nil || answered {
		return err
	}
	return refuse(http.StatusConflict, codeConflict, "%v", err)
}

// drainNode makes a node hand its share over and leave. Any node takes the call and passes it on to the one it is about.
func (n *Node) drainNode(w http.ResponseWriter, r *http.Request) error {
	node, err := n.named(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	if node.ID != n.info.ID {
		return n.relayDrain(w, r, node)
	}
	if err := ask(r, func(ctx context.Context) error { return n.drainable(ctx, node.ID) }); err != nil {
		return err
	}
	inBackground(r, func(ctx context.Context) {
		if err := n.Drain(ctx); err != nil && ctx.Err() == nil {
			n.log.Error("this node could not be drained", "reason", err)
		}
	})
	l, _ := n.currentLeader()
	node.Draining = true
	writeJSON(w, http.StatusAccepted, NodeInfo{Node: node, Leader: node.ID == l.node})
	return nil
}

// Drainable says whether this node may leave without leaving a run undone: nil, or why not.
func (n *Node) Drainable(ctx context.Context) error { return n.drainable(ctx, n.info.ID) }

// named finds a node by its id or its name.
func (n *Node) named(ctx context.Context, word string) (registry.Node, error) {
	nodes, err := n.roll(ctx)
	if err != nil {
		return registry.Node{}, refuse(http.StatusServiceUnavailable, codeUnavailable, "who is in the hive: %v", err)
	}
	i := slices.IndexFunc(nodes, func(r registry.Node) bool { return r.ID == word || r.Name == word })
	if i < 0 {
		return registry.Node{}, refuse(http.StatusNotFound, codeNotFound, "there is no node %q in this hive", word)
	}
	return nodes[i], nil
}

func (n *Node) relayDrain(w http.ResponseWriter, r *http.Request, to registry.Node) error {
	if r.Header.Get(relayed) != "" {
		return refuse(http.StatusMisdirectedRequest, codeNotLeader, "this node is not %s", to.Name)
	}
	ctx, cancel := context.WithTimeout(r.Context(), 2*apiTry)
	defer cancel()
	resp, err := n.calls.open(ctx, "POST", to.Address+"/api/v1/nodes/"+to.ID+"/drain", nil, http.Header{relayed: {"1"}})
	if api, ok := errors.AsType[*APIError](err); ok {
		return refuse(api.Status, api.Code, "%s", api.Message)
	}
	if err != nil {
		return refuse(http.StatusServiceUnavailable, codeUnavailable, "node %s cannot be asked to leave: %v", to.Name, err)
	}
	defer resp.Body.Close()
	var info NodeInfo
	if err := json.NewDecoder(resp.Body).Decode(&info); err != nil {
		return fmt.Errorf("drain node %s: %w", to.Name, err)
	}
	writeJSON(w, http.StatusAccepted, info)
	return nil
}

// nodeInfos are the nodes by name, with their health when the call asks for it.
func (n *Node) nodeInfos(r *http.Request) []NodeInfo {
	l, _ := n.currentLeader()
	health := map[string]*Health{}
	if r.URL.Query().Get("health") == "true" {
		health = n.healths(r)
	}
	nodes := []NodeInfo{}
	for _, node := range n.records(r) {
		nodes = append(nodes, NodeInfo{Node: node, Leader: node.ID == l.node, Health: health[node.ID]})
	}
	return nodes
}

// recordsTry bounds the wait for the records as they are at this moment.
const recordsTry = time.Second

// records are the nodes as etcd has them now: who was told by one node that another is out does not find it at a third.
// When etcd does not answer soon, or another node asks, they are as this node heard of them last.
func (n *Node) records(r *http.Request) []registry.Node {
	if r.Header.Get(relayed) == "" {
		ctx, cancel := context.WithTimeout(r.Context(), n.patience(recordsTry))
		defer cancel()
		if nodes, err := n.reg.List(ctx); err == nil {
			return nodes
		}
	}
	return n.known()
}

// healths is how the engines of the run under way fare, by node id, as the leader knows it.
func (n *Node) healths(r *http.Request) map[string]*Health {
	health := map[string]*Health{}
	if n.leading.Load() == nil {
		var nodes []NodeInfo
		n.askLeader(r, "/api/v1/nodes?health=true", &nodes)
		for _, node := range nodes {
			health[node.ID] = node.Health
		}
		return health
	}
	newest := map[string]int64{}
	for _, c := range n.inbox.all() {
		if c.Stage == StageRunning && time.Since(c.at) < silence && c.Incarnation > newest[c.Node] { // or its engine is gone
			newest[c.Node], health[c.Node] = c.Incarnation, new(c.Health)
		}
	}
	return health
}
