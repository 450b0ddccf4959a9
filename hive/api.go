package hive

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"hive/registry"
)

// apiTry bounds what a call waits for etcd.
const apiTry = 5 * time.Second

// ClusterInfo is what a node says of its hive.
type ClusterInfo struct {
	Name    string   `json:"name"`
	ID      string   `json:"id"`
	Etcd    []string `json:"etcd"` // client endpoints
	Node    string   `json:"node"` // id of the node that answers
	Leader  string   `json:"leader,omitempty"`
	Version string   `json:"version"`
	// LeaseTTL is [Config.LeaseTTL] of the node that answers: all of a hive have the same.
	LeaseTTL time.Duration `json:"leaseTTL,omitempty"`
}

// ClockInfo is the time on a node's clock.
type ClockInfo struct {
	Node string  `json:"node"`
	Boot string  `json:"boot"` // of the process, whose clock it is
	Now  Instant `json:"now"`
	// Set is how far the wall clock has been set ahead since the node started.
	Set time.Duration `json:"set,omitempty"`
	Moment
}

// NodeInfo is a node as clients see it.
type NodeInfo struct {
	registry.Node
	Leader bool `json:"leader"`
	// Health is how its engine fares in the run under way, as the leader heard last; nil when nothing is known.
	Health *Health `json:"health,omitempty"`
}

// RunInfo is a run as clients see it.
type RunInfo struct {
	ID        string              `json:"id"`
	Name      string              `json:"name"`
	Archive   string              `json:"archive"`
	Submitter string              `json:"submitter,omitempty"`
	Submitted time.Time           `json:"submitted"`
	Phase     Phase               `json:"phase"`
	Paused    *Halt               `json:"paused,omitempty"`   // set while the run's clock stands still, or is about to
	Position  int                 `json:"position,omitempty"` // runs before it in the queue
	Verdict   Verdict             `json:"verdict,omitempty"`
	Failure   *Failure            `json:"failure,omitempty"`
	Epoch     int                 `json:"epoch,omitempty"`
	Members   []Member            `json:"members,omitempty"`
	Gone      []Gone              `json:"gone,omitempty"`    // incarnations that have no share any more
	Unowned   int                 `json:"unowned,omitempty"` // slots that no node has room for
	Scales    []Scale             `json:"scales,omitempty"`
	Warnings  []string            `json:"warnings,omitempty"`
	Times     map[Phase]time.Time `json:"times,omitempty"`
	Plan      *Plan               `json:"plan,omitempty"`
	// Ledger is what has become of the plan so far, as the leader knows it; of a finished run, in the end.
	Ledger []ScenarioLedger `json:"ledger,omitempty"`
	// Health is how the engines of a run under way fare, by node id, as the leader heard last.
	Health map[string]*Health `json:"health,omitempty"`
	// Timeline are the last entries; the rest can be asked for.
	Timeline []TimelineEvent `json:"timeline,omitempty"`
}

// shownEvents is how many entries of the timeline are shown with a run.
const shownEvents = 20

// routes is the API. docs/api.md describes it.
func (n *Node) routes() http.Handler {
	mux := http.NewServeMux()
	for pattern, h := range map[string]handler{
		"GET /api/v1/cluster":               n.getCluster,
		"GET /api/v1/clock":                 n.getClock,
		"GET /api/v1/pulse":                 n.getPulse,
		"GET /api/v1/nodes":                 n.getNodes,
		"POST /api/v1/nodes/{id}/drain":     n.drainNode,
		"GET /api/v1/runs":                  n.listRuns,
		"POST /api/v1/runs":                 n.submit,
		"GET /api/v1/runs/{id}":             n.showRun,
		"GET /api/v1/runs/{id}/events":      n.events,
		"GET /api/v1/runs/{id}/timeline":    n.getTimeline,
		"GET /api/v1/runs/{id}/result":      n.getResult,
		"GET /api/v1/runs/{id}/clock":       n.getRunClock,
		"POST /api/v1/runs/{id}/stop":       n.stopRun,
		"POST /api/v1/runs/{id}/pause":      n.pauseRun,
		"POST /api/v1/runs/{id}/resume":     n.resumeRun,
		"POST /api/v1/runs/{id}/scale":      n.scaleRun,
		"POST /api/v1/runs/{id}/checkpoint": n.takeCheckpoint,
		"POST /api/v1/runs/{id}/summary":    n.makeSummary,
		"PUT /api/v1/blobs/{digest}":        n.putBlob,
		"HEAD /api/v1/blobs/{digest}":       n.headBlob,
		"GET /healthz":                      n.healthz,
		"GET /readyz":                       n.readyz,
		"/":                                 notFound,
	} {
		mux.Handle(pattern, h)
	}
	// A web page in a browser on this machine must not reach a node that asks
	// for no token.
	crossOrigin := http.NewCrossOriginProtection()
	crossOrigin.SetDenyHandler(handler(func(http.ResponseWriter, *http.Request) error {
		return refuse(http.StatusForbidden, codeForbidden, "calls from web pages of other origins are refused")
	}))
	return crossOrigin.Handler(guarded(n.cfg.Token, mux))
}

func notFound(_ http.ResponseWriter, r *http.Request) error {
	return refuse(http.StatusNotFound, codeNotFound, "there is no %s %s here", r.Method, r.URL.Path)
}

func (n *Node) healthz(w http.ResponseWriter, _ *http.Request) error {
	writeJSON(w, http.StatusOK, map[string]string{"status": "ok"})
	return nil
}

// readyz says whether the node is in the hive and the hive has a leader.
func (n *Node) readyz(w http.ResponseWriter, _ *http.Request) error {
	if n.self.Load() == nil {
		return refuse(http.StatusServiceUnavailable, codeUnavailable, "this node is not in the hive")
	}
	if _, _, ok := n.leaderURL(); !ok {
		return refuse(http.StatusServiceUnavailable, codeUnavailable, "%v", ErrNoLeader)
	}
	writeJSON(w, http.StatusOK, map[string]string{"status": "ready"})
	return nil
}

func (n *Node) getCluster(w http.ResponseWriter, _ *http.Request) error {
	l, _ := n.currentLeader()
	writeJSON(w, http.StatusOK, ClusterInfo{Name: n.info.Cluster, ID: n.dir.id.ClusterID, Etcd: n.contact.known(),
		Node: n.info.ID, Leader: l.node, Version: Version, LeaseTTL: n.cfg.LeaseTTL})
	return nil
}

func (n *Node) getClock(w http.ResponseWriter, _ *http.Request) error {
	writeJSON(w, http.StatusOK, ClockInfo{Node: n.info.ID, Boot: n.boot, Now: n.clock.Now(), Set: n.clock.Set(), Moment: momentNow()})
	return nil
}

// getNodes lists the nodes. A node that is out of the hive does not know who is in it.
func (n *Node) getNodes(w http.ResponseWriter, r *http.Request) error {
	if n.self.Load() == nil {
		return refuse(http.StatusServiceUnavailable, codeUnavailable, "node %s is not in the hive at the moment: its etcd at %s does not answer, or has not for a while",
			n.info.Name, strings.Join(n.contact.known(), ", "))
	}
	writeJSON(w, http.StatusOK, n.nodeInfos(r))
	return nil
}

// ask bounds what a handler waits for etcd, and says so when that was it.
func ask(r *http.Request, do func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(r.Context(), apiTry)
	defer cancel()
	err := do(ctx)
	if err != nil && ctx.Err() != nil {
		return refuse(http.StatusServiceUnavailable, codeUnavailable, "the hive's etcd does not answer: %v", err)
	}
	return err
}

func (n *Node) listRuns(w http.ResponseWriter, r *http.Request) error {
	runs := []RunInfo{}
	err := ask(r, func(ctx context.Context) error {
		ids, err := n.runIDs(ctx)
		if err != nil {
			return err
		}
		line, err := n.queueLine(ctx)
		if err != nil {
			return err
		}
		for _, id := range ids {
			info, err := n.runInfo(ctx, id, line)
			if err != nil {
				return err
			}
			runs = append(runs, info)
		}
		return nil
	})
	if err == nil {
		writeJSON(w, http.StatusOK, runs)
	}
	return err
}

func (n *Node) showRun(w http.ResponseWriter, r *http.Request) error {
	var info RunInfo
	err := ask(r, func(ctx context.Context) (err error) {
		line, err := n.queueLine(ctx)
		if err != nil {
			return err
		}
		if info, err = n.runInfo(ctx, r.PathValue("id"), line); err != nil {
			return err
		}
		var plan Plan
		if found, err := getJSON(ctx, n.etcd, n.keys.Plan(info.ID), &plan); err != nil {
			return err
		} else if found {
			info.Plan = &plan
		}
		events, err := n.timeline(ctx, info.ID)
		info.Timeline = events[max(0, len(events)-shownEvents):]
		return err
	})
	if err != nil {
		return err
	}
	if info.Ledger, err = n.ledgerOf(r, info); err != nil {
		return err
	}
	if info.Phase == Running {
		info.Health = n.healths(r)
	}
	writeJSON(w, http.StatusOK, info)
	return nil
}

// ledgerOf is a run's ledger: of a finished one as its result has it, otherwise as the leader has it so far. It is nil
// when there is none yet, or the leader does not answer.
func (n *Node) ledgerOf(r *http.Request, info RunInfo) ([]ScenarioLedger, error) {
	if info.Phase == Finished {
		var res struct{ Ledger []ScenarioLedger }
		err := ask(r, func(ctx context.Context) error {
			data, err := n.readResult(ctx, info.ID)
			if err != nil || data == nil {
				return err
			}
			return json.Unmarshal(data, &res)
		})
		return res.Ledger, err
	}
	if l := n.leading.Load(); l != nil {
		if h := l.stream(info.ID); h != nil {
			return h.progress().Ledger, nil
		}
		return nil, nil
	}
	var known RunInfo
	n.askLeader(r, runPath(info.ID), &known)
	return known.Ledger, nil
}

// leaderTry bounds what the answer to a call waits for what only the leader knows.
const leaderTry = time.Second

// askLeader asks the leader what this node was asked, unless another node has asked this one already. Without an answer
// it leaves out as it is.
func (n *Node) askLeader(r *http.Request, path string, out any) {
	url, _, ok := n.leaderURL()
	if !ok || url == n.info.URL || r.Header.Get(relayed) != "" {
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), leaderTry)
	defer cancel()
	resp, err := n.calls.open(ctx, "GET", url+path, nil, http.Header{relayed: {"1"}})
	if err != nil {
		return
	}
	defer resp.Body.Close()
	_ = json.NewDecoder(resp.Body).Decode(out) // what could not be learnt is left out
}

// queueLine lists the runs that are not finished, in their order.
func (n *Node) queueLine(ctx context.Context) ([]string, error) {
	resp, err := n.etcd.Get(ctx, n.keys.Queue(), clientv3.WithPrefix(), clientv3.WithKeysOnly(),
		clientv3.WithSort(clientv3.SortByCreateRevision, clientv3.SortAscend))
	if err != nil {
		return nil, fmt.Errorf("read the queue: %w", err)
	}
	var ids []string
	for _, kv := range resp.Kvs {
		ids = append(ids, strings.TrimPrefix(string(kv.Key), n.keys.Queue()))
	}
	return ids, nil
}

func (n *Node) runInfo(ctx context.Context, id string, line []string) (RunInfo, error) {
	var spec Spec
	found, err := getJSON(ctx, n.etcd, n.keys.Spec(id), &spec)
	if err != nil {
		return RunInfo{}, err
	}
	if !found {
		return RunInfo{}, noRun(id)
	}
	st, _, err := ReadState(ctx, n.etcd, n.keys, id)
	if err != nil {
		return RunInfo{}, err
	}
	return RunInfo{ID: id, Name: spec.Name, Archive: spec.Archive, Submitter: spec.Submitter, Submitted: spec.Submitted,
		Phase: st.Phase, Paused: st.paused(), Position: max(0, slices.Index(line, id)), Verdict: st.Verdict, Failure: st.Failure,
		Epoch: st.Epoch, Members: st.Members, Gone: st.Gone, Unowned: st.Unowned, Scales: st.Scales, Warnings: st.Warnings, Times: st.Times}, nil
}

func noRun(id string) error {
	return refuse(http.StatusNotFound, codeNotFound, "there is no run %q in this hive", id)
}

func (n *Node) getResult(w http.ResponseWriter, r *http.Request) error {
	id := r.PathValue("id")
	return ask(r, func(ctx context.Context) error {
		data, err := n.readResult(ctx, id)
		if err != nil {
			return err
		}
		if data == nil {
			if _, err := n.runInfo(ctx, id, nil); err != nil {
				return err
			}
			return refuse(http.StatusConflict, codeConflict, "run %s has no result yet", id)
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(data) // a client that is gone needs no answer
		return nil
	})
}

// readResult is a run's result as it was stored; nil when there is none.
func (n *Node) readResult(ctx context.Context, id string) ([]byte, error) {
	var c Chunks
	found, err := getJSON(ctx, n.etcd, n.keys.Result(id), &c)
	if err != nil || !found {
		return nil, err
	}
	return getChunks(ctx, n.etcd, n.keys.Result(id), c)
}

func (n *Node) getTimeline(w http.ResponseWriter, r *http.Request) error {
	id := r.PathValue("id")
	return ask(r, func(ctx context.Context) error {
		if _, err := n.runInfo(ctx, id, nil); err != nil {
			return err
		}
		events, err := n.timeline(ctx, id)
		if err != nil {
			return err
		}
		if events == nil {
			events = []TimelineEvent{}
		}
		writeJSON(w, http.StatusOK, events)
		return nil
	})
}

// takeCheckpoint takes a node's metrics. The leader works from them, and any other node keeps them in case it is the
// next one; the answer tells which it was.
func (n *Node) takeCheckpoint(w http.ResponseWriter, r *http.Request) error {
	data, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxCheckpoint))
	if err != nil {
		return err
	}
	report, snapshot, err := decodeCheckpoint(data)
	if err != nil {
		return refuse(http.StatusBadRequest, codeBadRequest, "%v", err)
	}
	ack, err := n.inbox.put(r.PathValue("id"), report, snapshot)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, ack)
	return nil
}

// makeSummary lets this node's engine run handleSummary for the leader.
func (n *Node) makeSummary(w http.ResponseWriter, r *http.Request) error {
	id := r.PathValue("id")
	data, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxSummary))
	if err != nil {
		return err
	}
	a := n.agent.Load()
	var t *task
	if a != nil {
		t = a.task(id)
	}
	if t == nil {
		return refuse(http.StatusConflict, codeConflict, "this node is not at run %s", id)
	}
	var st State
	if err := ask(r, func(ctx context.Context) error {
		_, err := getJSON(ctx, n.etcd, n.keys.State(id), &st)
		return err
	}); err != nil {
		return err
	}
	files, ran, err := t.handleSummary(r.Context(), st, data)
	answer := SummaryAnswer{Files: files, Ran: ran}
	if err != nil {
		answer = SummaryAnswer{Error: err.Error()}
	}
	writeJSON(w, http.StatusOK, answer)
	return nil
}

var errStreamEnded = errors.New("the stream has ended")
