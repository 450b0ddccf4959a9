package hive

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
)

const (
	// spaceLook is how often the leader looks at the size of etcd's database.
	spaceLook = 15 * time.Second
	// spaceSoft is the size of a database from which on it is compacted and, if
	// half of it is free, made smaller.
	spaceSoft = 100 << 20
	// statusTry bounds the question to one member how it is.
	statusTry = time.Second
	// spaceTry bounds making one database smaller.
	spaceTry = time.Minute
)

// tendSpace keeps the database of the embedded etcd small while this node
// leads, and frees it when it is full. It also does when a full one keeps this
// node out of the hive, for it grants no leases: there may be nobody to lead.
func (n *Node) tendSpace(ctx context.Context) error {
	look := time.NewTicker(spaceLook)
	defer look.Stop()
	for {
		select {
		case <-look.C:
		case <-n.roomless:
		case <-ctx.Done():
			return ctx.Err()
		}
		if n.leading.Load() == nil && (n.place.Load() != nil || !n.shutOut()) {
			continue
		}
		if err := n.makeRoom(ctx); err != nil && ctx.Err() == nil {
			n.log.Warn("etcd's database could not be looked after", "reason", err)
		}
	}
}

// shutOut says whether a full database is why the node is not in the hive.
func (n *Node) shutOut() bool {
	_, full := n.fulls.going()
	return full
}

// wantRoom has the database looked after at once.
func (n *Node) wantRoom() {
	select {
	case n.roomless <- struct{}{}:
	default:
	}
}

// makeRoom compacts and shrinks the members' databases where that is worth it,
// and lifts etcd's alarm that there is no space once there is.
func (n *Node) makeRoom(ctx context.Context) error {
	one, cancel := context.WithTimeout(ctx, etcdTry)
	defer cancel()
	alarms, err := n.etcd.AlarmList(one)
	if err != nil {
		return fmt.Errorf("list the alarms: %w", err)
	}
	full := false
	for _, a := range alarms.Alarms {
		full = full || a.Alarm == etcdserverpb.AlarmType_NOSPACE
	}
	if full {
		n.fulls.begin(n.clock.Now())
		n.log.Error("etcd's database is full and takes no writes: old data is removed now", "quota", n.dir.quota)
	}
	soft := min(spaceSoft, n.dir.quota/2)
	compacted := false
	for _, endpoint := range n.contact.known() {
		st, err := n.status(ctx, endpoint)
		if err != nil {
			continue // a member that is away is looked after when it is back
		}
		if !compacted && (full || st.DbSizeInUse > soft) {
			if err := n.compact(ctx, st.Header.Revision); err != nil {
				return err
			}
			compacted = true
			if st, err = n.status(ctx, endpoint); err != nil {
				continue
			}
		}
		if full || st.DbSize > soft && st.DbSizeInUse < st.DbSize/2 {
			if err := n.shrink(ctx, endpoint, st.DbSize); err != nil {
				return err
			}
		}
	}
	if !full {
		return nil
	}
	return n.disarm(ctx)
}

// status asks one member how it is. A member that is away does not refuse, it
// does not answer.
func (n *Node) status(ctx context.Context, endpoint string) (*clientv3.StatusResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, statusTry)
	defer cancel()
	st, err := n.etcd.Status(ctx, endpoint)
	if err != nil {
		return nil, fmt.Errorf("ask the etcd at %s how it is: %w", endpoint, err)
	}
	return st, nil
}

// anyStatus is that of the first voter that answers, the own one first; nil
// when none does.
func (n *Node) anyStatus(ctx context.Context) *clientv3.StatusResponse {
	endpoints := n.contact.known()
	if n.part() == voterPart {
		endpoints = append([]string{n.dir.ownURL()}, endpoints...)
	}
	for _, endpoint := range endpoints {
		if st, err := n.status(ctx, endpoint); err == nil {
			return st
		}
	}
	return nil
}

// compact drops what was overwritten or deleted before now. A watch that is
// behind lists anew.
func (n *Node) compact(ctx context.Context, rev int64) error {
	ctx, cancel := context.WithTimeout(ctx, spaceTry)
	defer cancel()
	err := n.around("compact", func() error {
		_, err := n.etcd.Compact(ctx, rev, clientv3.WithCompactPhysical())
		return err
	})
	if err != nil && !errors.Is(err, rpctypes.ErrCompacted) { // nothing was written since somebody else did it
		return fmt.Errorf("compact: %w", err)
	}
	return nil
}

// shrink gives the free part of one member's database back. The member does
// not answer meanwhile; the others do.
func (n *Node) shrink(ctx context.Context, endpoint string, was int64) error {
	ctx, cancel := context.WithTimeout(ctx, spaceTry)
	defer cancel()
	err := n.around("shrink", func() error {
		_, err := n.etcd.Defragment(ctx, endpoint)
		return err
	})
	if err != nil {
		return fmt.Errorf("make the database of %s smaller: %w", endpoint, err)
	}
	if st, err := n.status(ctx, endpoint); err == nil {
		n.log.Info("etcd's database was made smaller", "etcd", endpoint, "was", was, "is", st.DbSize)
	}
	return nil
}

func (n *Node) disarm(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, etcdTry)
	defer cancel()
	err := n.around("lift alarm", func() error {
		_, err := n.etcd.AlarmDisarm(ctx, &clientv3.AlarmMember{})
		return err
	})
	if err != nil {
		return fmt.Errorf("lift the alarm: %w", err)
	}
	n.fulls.over(n.clock.Now())
	n.log.Info("etcd takes writes again")
	return nil
}

// roomFor refuses what would take the embedded etcd's database over half of
// its quota: the other half is for the runs.
func (n *Node) roomFor(ctx context.Context, size int) error {
	if !n.embedded {
		return nil
	}
	st := n.anyStatus(ctx)
	if st == nil {
		return refuse(http.StatusServiceUnavailable, codeUnavailable, "the hive's etcd does not answer")
	}
	used := st.DbSizeInUse
	if limit := n.dir.quota / 2; used+int64(size) > limit {
		return refuse(http.StatusInsufficientStorage, codeTooLarge, "there is no room for %d MiB more in the hive: its etcd holds %d of the %d MiB that archives and results may take; runs that are over give theirs back",
			size>>20, used>>20, limit>>20)
	}
	return nil
}
