package metric

import (
	"fmt"
	"hash/maphash"
	"slices"
	"sync"
	"sync/atomic"
)

// Registry holds the metrics, the declared submetrics and the interned tag sets of one run.
// It is safe for concurrent use.
type Registry struct {
	builtin *Builtin
	root    *TagSet
	seed    maphash.Seed
	limit   int // distinct tag sets after which new values are folded
	warn    atomic.Pointer[func(string)]

	mu      sync.RWMutex // guards all below
	metrics []*Metric
	byName  map[string]*Metric
	subs    map[int][]*submetric // by metric ID, in order of declaration
	sets    map[string]*TagSet   // by canonical encoding
	edges   int                  // cached steps between sets
}

// DefaultTagSets is the number of distinct tag sets a Registry keeps apart. A series costs up to
// some 20 KB, so this is what a machine can still hold.
const DefaultTagSets = 100_000

// NewRegistry returns a registry with the built-in metrics registered and a limit of
// DefaultTagSets.
func NewRegistry() *Registry { return NewLimitedRegistry(DefaultTagSets) }

// NewLimitedRegistry is NewRegistry with another limit of distinct tag sets. When it is reached,
// values that would make a new set are folded to "(more)".
func NewLimitedRegistry(limit int) *Registry {
	r := &Registry{
		seed:   maphash.MakeSeed(),
		limit:  max(limit, 1),
		byName: map[string]*Metric{},
		subs:   map[int][]*submetric{},
		sets:   map[string]*TagSet{},
	}
	r.root = &TagSet{reg: r}
	r.sets[""] = r.root
	r.builtin = newBuiltin(r)
	return r
}

// Register returns the metric of that name, defining it when it is new. It fails when the name is
// not a valid one or when it is taken by a metric of another kind or unit.
func (r *Registry) Register(name string, k Kind, c Contains) (*Metric, error) {
	if !validName.MatchString(name) {
		return nil, fmt.Errorf("invalid metric name %q: it must start with a letter or an underscore and go on with 1 to 128 letters, digits or underscores", name)
	}
	if k > Trend || c > Data {
		return nil, fmt.Errorf("metric %q: unknown type %v, %v", name, k, c)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if m := r.byName[name]; m != nil {
		if m.Kind != k || m.Contains != c {
			return nil, fmt.Errorf("metric %q already exists as a %v of %v values, it cannot also be a %v of %v values", name, m.Kind, m.Contains, k, c)
		}
		return m, nil
	}
	return r.add(name, k, c), nil
}

// add defines a metric; r.mu is held, or r is not shared yet.
func (r *Registry) add(name string, k Kind, c Contains) *Metric {
	m := &Metric{ID: len(r.metrics), Name: name, Kind: k, Contains: c}
	r.metrics = append(r.metrics, m)
	r.byName[name] = m
	return m
}

// Lookup returns the metric of that name, nil when there is none.
func (r *Registry) Lookup(name string) *Metric {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.byName[name]
}

// Metrics returns all metrics in order of their IDs.
func (r *Registry) Metrics() []*Metric {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return slices.Clone(r.metrics)
}

// Builtin returns the metrics that hive itself emits.
func (r *Registry) Builtin() *Builtin { return r.builtin }

// Warnings sets who is told, in a sentence, that a script makes too many distinct tag sets: once
// when a tenth of the limit is reached and once at the limit. say must not call the registry.
func (r *Registry) Warnings(say func(string)) { r.warn.Store(&say) }
