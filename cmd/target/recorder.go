package main

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"
)

// recorder notes which ids arrived and when. Its order is the order of arrival.
type recorder struct {
	now func() time.Time

	mu   sync.Mutex
	hits []hit // guarded by mu
}

// hit is one arrival.
type hit struct {
	ID int64     `json:"id"`
	At time.Time `json:"at"`
}

// report is what /stats answers. Hits is there with ?hits=1 only: it may be long.
type report struct {
	Count      int           `json:"count"`
	Distinct   int           `json:"distinct"`
	Min        int64         `json:"min"` // smallest id
	Max        int64         `json:"max"`
	IDs        []int64       `json:"ids"`        // every id seen, once each, ascending
	Duplicates []int64       `json:"duplicates"` // ids seen more than once, ascending
	Missing    []int64       `json:"missing"`    // ids between 0 and Max that were not seen; at most 10,000
	First      time.Time     `json:"first,omitzero"`
	Last       time.Time     `json:"last,omitzero"`
	PerSecond  []secondCount `json:"perSecond"`
	Hits       []hit         `json:"hits,omitempty"`
}

// secondCount is how many arrived in one second; Second counts from the first arrival.
type secondCount struct {
	Second int64 `json:"second"`
	Count  int   `json:"count"`
}

// maxMissing bounds the list of missing ids, as a single huge id would otherwise fill it.
const maxMissing = 10_000

func newRecorder(now func() time.Time) *recorder { return &recorder{now: now} }

// hit notes the id in the query's i.
func (r *recorder) hit(w http.ResponseWriter, q *http.Request) {
	at := r.now()
	id, err := strconv.ParseInt(q.FormValue("i"), 10, 64)
	if err != nil {
		http.Error(w, fmt.Sprintf("i=%q: want a whole number", q.FormValue("i")), http.StatusBadRequest)
		return
	}
	r.mu.Lock()
	r.hits = append(r.hits, hit{id, at})
	r.mu.Unlock()
	w.Header().Set("Content-Length", "3")
	_, _ = io.WriteString(w, "ok\n") // the client may have gone
}

func (r *recorder) stats(w http.ResponseWriter, q *http.Request) {
	r.mu.Lock()
	hits := slices.Clone(r.hits)
	r.mu.Unlock()
	out := summarize(hits)
	if q.FormValue("hits") != "" {
		out.Hits = hits
	}
	writeJSON(w, out)
}

func (r *recorder) reset(w http.ResponseWriter, _ *http.Request) {
	r.mu.Lock()
	r.hits = nil
	r.mu.Unlock()
	w.WriteHeader(http.StatusNoContent)
}

// summarize is the report on hits.
func summarize(hits []hit) report {
	out := report{Count: len(hits), IDs: []int64{}, Duplicates: []int64{}, Missing: []int64{}, PerSecond: []secondCount{}}
	if len(hits) == 0 {
		return out
	}
	ids := make([]int64, len(hits))
	out.First, out.Last = hits[0].At, hits[0].At
	for i, h := range hits {
		ids[i] = h.ID
		if h.At.Before(out.First) {
			out.First = h.At
		}
		if h.At.After(out.Last) {
			out.Last = h.At
		}
	}
	slices.Sort(ids)
	out.Min, out.Max = ids[0], ids[len(ids)-1]
	out.Duplicates = repeated(ids)
	out.IDs = slices.Compact(ids)
	out.Distinct = len(out.IDs)
	out.Missing = missing(out.IDs)
	out.PerSecond = perSecond(hits, out.First)
	return out
}

// repeated are the values that occur more than once in sorted ids.
func repeated(ids []int64) []int64 {
	again := []int64{}
	for i := 1; i < len(ids); i++ {
		if ids[i] == ids[i-1] && (len(again) == 0 || again[len(again)-1] != ids[i]) {
			again = append(again, ids[i])
		}
	}
	return again
}

// missing are the values from 0 to the largest that do not occur in sorted, distinct ids.
func missing(ids []int64) []int64 {
	out := []int64{}
	next := int64(0)
	for _, id := range ids {
		for ; next < id; next++ {
			if out = append(out, next); len(out) == maxMissing {
				return out
			}
		}
		next = max(next, id+1)
	}
	return out
}

// perSecond counts arrivals in each second from first on, empty seconds included.
func perSecond(hits []hit, first time.Time) []secondCount {
	counts := map[int64]int{}
	last := int64(0)
	for _, h := range hits {
		s := int64(h.At.Sub(first) / time.Second)
		counts[s]++
		last = max(last, s)
	}
	out := make([]secondCount, 0, last+1)
	for s := range last + 1 {
		out = append(out, secondCount{s, counts[s]})
	}
	return out
}
