package hive

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// Roster is what the state of a run says of each member. It lies in a key of its own, is written in the same
// transactions, and only when it changes: the state goes to all nodes at each change, and its length must not depend on
// how many these are.
type Roster struct {
	Members  []Member `json:"members,omitempty"`
	Proposed []Member `json:"proposed,omitempty"` // members of the proposal
	Leaving  []Member `json:"leaving,omitempty"`  // see [Proposal]
	Gone     []Gone   `json:"gone,omitempty"`
}

// encodeState makes the values of the state and of the roster.
func encodeState(s State) (state, roster string, err error) {
	r := Roster{Members: s.Members, Gone: s.Gone}
	if s.Proposal != nil {
		r.Proposed, r.Leaving = s.Proposal.Members, s.Proposal.Leaving
	}
	first, err := json.Marshal(s)
	if err != nil {
		return "", "", fmt.Errorf("write the state: %w", err)
	}
	second, err := json.Marshal(r)
	if err != nil {
		return "", "", fmt.Errorf("write the roster: %w", err)
	}
	return string(first), string(second), nil
}

// ReadState reads the state of a run with its roster, and the revision of the state, which is 0 for a run that nobody
// has taken up yet.
func ReadState(ctx context.Context, kv clientv3.KV, k Keys, run string) (st State, rev int64, err error) {
	st, rev, _, err = readState(ctx, kv, k, run)
	return st, rev, err
}

// readState is [ReadState], and says in which term of etcd's own leader that was.
func readState(ctx context.Context, kv clientv3.KV, k Keys, run string) (st State, rev int64, term uint64, err error) {
	st = State{Phase: Queued, Times: map[Phase]time.Time{}}
	resp, err := kv.Txn(ctx).Then(clientv3.OpGet(k.State(run)), clientv3.OpGet(k.Roster(run))).Commit()
	if err != nil {
		return st, 0, 0, fmt.Errorf("read the state: %w", err)
	}
	state, roster := resp.Responses[0].GetResponseRange().Kvs, resp.Responses[1].GetResponseRange().Kvs
	if len(state) == 0 {
		return st, 0, resp.Header.RaftTerm, nil
	}
	if err := json.Unmarshal(state[0].Value, &st); err != nil {
		return st, 0, 0, fmt.Errorf("read the state: %w", err)
	}
	if len(roster) > 0 {
		var r Roster
		if err := json.Unmarshal(roster[0].Value, &r); err != nil {
			return st, 0, 0, fmt.Errorf("read the roster: %w", err)
		}
		st.Members, st.Gone = r.Members, r.Gone
		if st.Proposal != nil {
			st.Proposal.Members, st.Proposal.Leaving = r.Proposed, r.Leaving
		}
	}
	return st, state[0].ModRevision, resp.Header.RaftTerm, nil
}

// ownState is a state as a node acts on it: without the roster, and with the node's own part in it.
type ownState struct {
	State
	now  *Alloc // in the present epoch; nil for none
	next *Alloc // in the proposed one
}

// errPassed says that the state has changed since it was seen.
var errPassed = errors.New("the run's state has changed meanwhile")

// ownPart reads what a state, which was seen at a revision, gives this node to do. What has been read already is
// taken from there: an allocation never changes once the state names its epoch.
func (t *task) ownPart(ctx context.Context, st State, rev int64) (ownState, error) {
	own := ownState{State: st}
	was, _ := t.now()
	var wanted []clientv3.Op
	var into []**Alloc
	get := func(epoch int, a **Alloc) {
		switch {
		case epoch == 0:
		case epoch == was.Epoch:
			*a = was.now
		case was.Proposal != nil && epoch == was.Proposal.Epoch:
			*a = was.next
		default:
			wanted, into = append(wanted, clientv3.OpGet(t.n.keys.Alloc(t.run, epoch, t.n.info.ID))), append(into, a)
		}
	}
	get(st.Epoch, &own.now)
	if st.Proposal != nil {
		get(st.Proposal.Epoch, &own.next)
	}
	if len(wanted) == 0 {
		return own, nil
	}
	ctx, cancel := context.WithTimeout(ctx, etcdTry)
	defer cancel()
	resp, err := t.n.etcd.Txn(ctx).If(clientv3.Compare(clientv3.ModRevision(t.n.keys.State(t.run)), "=", rev)).Then(wanted...).Commit()
	if err != nil {
		return own, fmt.Errorf("read this node's allocation: %w", err)
	}
	if !resp.Succeeded {
		return own, errPassed
	}
	for i, r := range resp.Responses {
		for _, kv := range r.GetResponseRange().Kvs {
			*into[i] = new(Alloc)
			if err := json.Unmarshal(kv.Value, *into[i]); err != nil {
				return own, fmt.Errorf("read this node's allocation: %w", err)
			}
		}
	}
	return own, nil
}
