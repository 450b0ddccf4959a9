package hive

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"hive/archive"
	"hive/engine/executor"
	"hive/engine/options"
	"hive/registry"
)

// uploadKept is how long an archive is kept for a run to be submitted.
const uploadKept = 15 * time.Minute

// What ids of runs and digests of archives look like.
var (
	runPattern    = regexp.MustCompile(`^[a-zA-Z0-9-]{1,64}$`)
	digestPattern = regexp.MustCompile(`^[0-9a-f]{64}$`)
)

// Submission is a run to be submitted. The archive has been uploaded before.
type Submission struct {
	// ID makes a submission that is sent twice one run; empty means a new run.
	ID        string          `json:"id,omitempty"`
	Name      string          `json:"name"`
	Archive   string          `json:"archive"` // sha256, hex
	Options   json.RawMessage `json:"options"` // consolidated
	Flags     Flags           `json:"flags"`
	Submitter string          `json:"submitter,omitempty"`
}

// submit puts a run into the queue. It needs no leader, only etcd.
func (n *Node) submit(w http.ResponseWriter, r *http.Request) error {
	var sub Submission
	if err := readJSON(w, r, maxSubmission, &sub); err != nil {
		return err
	}
	spec, err := n.accept(r.Context(), sub)
	if err != nil {
		return err
	}
	return ask(r, func(ctx context.Context) error {
		if err := n.enqueue(ctx, spec); err != nil {
			return err
		}
		line, err := n.queueLine(ctx)
		if err != nil {
			return err
		}
		info, err := n.runInfo(ctx, spec.ID, line)
		if err == nil {
			writeJSON(w, http.StatusCreated, info)
		}
		return err
	})
}

// accept checks a submission and makes its spec.
func (n *Node) accept(ctx context.Context, sub Submission) (Spec, error) {
	if sub.ID == "" {
		sub.ID = NewRunID()
	}
	if !runPattern.MatchString(sub.ID) {
		return Spec{}, refuse(http.StatusBadRequest, codeBadRequest, "run id %q: want 1 to 64 letters, digits and dashes", sub.ID)
	}
	if !digestPattern.MatchString(sub.Archive) {
		return Spec{}, refuse(http.StatusBadRequest, codeBadRequest, "archive %q: want a sha256 in hex", sub.Archive)
	}
	var opts options.Options
	if err := json.Unmarshal(sub.Options, &opts); err != nil {
		return Spec{}, refuse(http.StatusBadRequest, codeBadRequest, "options: %v", err)
	}
	if len(opts.Scenarios) == 0 {
		return Spec{}, refuse(http.StatusBadRequest, codeBadRequest, "options: there is no scenario in them")
	}
	if err := sub.Flags.Policy.Validate(); err != nil {
		return Spec{}, refuse(http.StatusBadRequest, codeBadRequest, "policy: %v", err)
	}
	living, err := n.roll(ctx)
	if err != nil {
		return Spec{}, refuse(http.StatusServiceUnavailable, codeUnavailable, "who is in the hive: %v", err)
	}
	if err := n.carries(living, sub, opts.Scenarios); err != nil {
		return Spec{}, refuse(http.StatusConflict, codeCapacity, "%v", err)
	}
	return Spec{ID: sub.ID, Name: sub.Name, Archive: sub.Archive, Options: sub.Options, Flags: sub.Flags,
		Submitter: sub.Submitter, Submitted: time.Now().UTC()}, nil
}

// carries refuses a test that the living nodes cannot carry, with those that are to be in reserve left out. While the hive is
// starting that is for the leader to say: nodes may be on their way.
func (n *Node) carries(living []registry.Node, sub Submission, scenarios []executor.Scenario) error {
	_, _, _, err := dealWithin(sub.Name, scenarios, carriers(living), sub.Flags.Policy.Reserve)
	if err != nil && AsFailure(err).Kind == KindCapacity && n.starting() {
		return nil
	}
	return err
}

// starting says whether this node, and with it maybe the hive, has not been there for long.
func (n *Node) starting() bool {
	select {
	case <-n.inside:
		return time.Since(n.insideAt) < n.cfg.Timing.Grace
	default:
		return true
	}
}

// enqueue writes the run, its place in the queue and its claim on the archive
// at once. A run with that id that is there already is left as it is.
func (n *Node) enqueue(ctx context.Context, spec Spec) error {
	value, err := json.Marshal(spec)
	if err != nil {
		return fmt.Errorf("submit: %w", err)
	}
	entry, err := json.Marshal(queueEntry{Archive: spec.Archive})
	if err != nil {
		return fmt.Errorf("submit: %w", err)
	}
	var resp *clientv3.TxnResponse
	err = persist(ctx, func(ctx context.Context) (err error) {
		resp, err = n.etcd.Txn(ctx).
			If(clientv3.Compare(clientv3.CreateRevision(n.keys.Spec(spec.ID)), "=", 0),
				clientv3.Compare(clientv3.CreateRevision(archive.MetaKey(n.keys.Root(), spec.Archive)), ">", 0)).
			Then(clientv3.OpPut(n.keys.Spec(spec.ID), string(value)),
				clientv3.OpPut(n.keys.Queued(spec.ID), string(entry)),
				clientv3.OpPut(n.keys.Ref(spec.Archive, spec.ID), "")).
			Else(clientv3.OpGet(n.keys.Spec(spec.ID))).Commit()
		return err
	})
	if err != nil {
		return fmt.Errorf("submit: %w", err)
	}
	if kvs := elseKVs(resp); !resp.Succeeded && len(kvs) == 0 {
		return refuse(http.StatusConflict, codeNoArchive, "the archive %s is not in the hive: upload it first", spec.Archive)
	} else if len(kvs) == 1 {
		var was Spec
		if json.Unmarshal(kvs[0].Value, &was) != nil || was.Archive != spec.Archive {
			return refuse(http.StatusConflict, codeConflict, "there is another run with the id %s", spec.ID)
		}
	}
	return nil
}

// putBlob stores an archive, and keeps it for a while without a run.
func (n *Node) putBlob(w http.ResponseWriter, r *http.Request) error {
	digest := r.PathValue("digest")
	if !digestPattern.MatchString(digest) {
		return refuse(http.StatusBadRequest, codeBadRequest, "%q is not a sha256 in hex", digest)
	}
	data, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxArchive))
	if err != nil {
		return err
	}
	if got := archive.DigestOf(data); got != digest {
		return refuse(http.StatusBadRequest, codeBadRequest, "the archive has the digest %s, not %s: it was changed on its way", got, digest)
	}
	if err := n.roomFor(r.Context(), len(data)); err != nil {
		return err
	}
	if err := n.keepUpload(r, digest); err != nil {
		return err
	}
	if err := archive.Store(r.Context(), n.etcd, n.keys.Root(), digest, data); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// keepUpload holds an archive that no run needs yet, under a lease.
func (n *Node) keepUpload(r *http.Request, digest string) error {
	return ask(r, func(ctx context.Context) error {
		lease, err := n.etcd.Grant(ctx, int64(uploadKept/time.Second))
		if err != nil {
			return fmt.Errorf("keep the archive: %w", err)
		}
		if _, err := n.etcd.Put(ctx, n.keys.upload(digest, int64(lease.ID)), "", clientv3.WithLease(lease.ID)); err != nil {
			return fmt.Errorf("keep the archive: %w", err)
		}
		return nil
	})
}

// headBlob says whether an archive is there, and keeps it for a while if so.
func (n *Node) headBlob(w http.ResponseWriter, r *http.Request) error {
	digest := r.PathValue("digest")
	if !digestPattern.MatchString(digest) {
		return refuse(http.StatusBadRequest, codeBadRequest, "%q is not a sha256 in hex", digest)
	}
	if err := n.keepUpload(r, digest); err != nil {
		return err
	}
	return ask(r, func(ctx context.Context) error {
		resp, err := n.etcd.Get(ctx, archive.MetaKey(n.keys.Root(), digest), clientv3.WithCountOnly())
		if err != nil {
			return fmt.Errorf("look for the archive: %w", err)
		}
		if resp.Count == 0 {
			return refuse(http.StatusNotFound, codeNotFound, "the archive %s is not in the hive", digest)
		}
		w.WriteHeader(http.StatusNoContent)
		return nil
	})
}
