package machine

import (
	"runtime/metrics"
	"sync"
	"time"
)

// minSample is the shortest stretch that a rate is taken over.
const minSample = 50 * time.Millisecond

// Sampler tells how this process fares. It is safe for concurrent use; one sample takes some microseconds, and more
// where many files are open.
type Sampler struct {
	mu      sync.Mutex // guards what follows
	at      time.Time
	used    time.Duration // CPU time of the process until at
	cpu, gc float64       // over the last stretch
	runtime []metrics.Sample
	gcTime  float64 // seconds until at
	gcTotal float64
}

// NewSampler begins the first stretch.
func NewSampler() *Sampler {
	s := &Sampler{at: time.Now(), used: cpuTime(), runtime: []metrics.Sample{
		{Name: "/cpu/classes/gc/total:cpu-seconds"}, {Name: "/cpu/classes/idle:cpu-seconds"}, {Name: "/cpu/classes/total:cpu-seconds"},
	}}
	s.gcTime, s.gcTotal = s.collector()
	return s
}

// Sample tells how many cores the process has kept busy since the sample before, which part of its CPU time the garbage
// collector took, how many bytes of it are resident, and how many files (mostly connections) it has open out of how many
// it may open. What the system does not tell is 0. The figure for the collector moves only when one of its cycles ends.
func (s *Sampler) Sample() (cpu float64, memory int64, gc float64, sockets, socketsMax int) {
	s.mu.Lock()
	s.advance()
	cpu, gc = s.cpu, s.gc
	s.mu.Unlock()
	return cpu, Resident(0), gc, openFiles(), int(Files())
}

// advance ends a stretch, unless it is too short to tell anything; s.mu is held.
func (s *Sampler) advance() {
	now := time.Now()
	passed := now.Sub(s.at)
	if passed < minSample {
		return
	}
	used := cpuTime()
	s.cpu = max(0, (used-s.used).Seconds()/passed.Seconds())
	s.at, s.used = now, used
	gc, total := s.collector()
	if total > s.gcTotal {
		s.gc = max(0, (gc-s.gcTime)/(total-s.gcTotal))
		s.gcTime, s.gcTotal = gc, total
	}
}

// collector gives the CPU seconds of the garbage collector and of all that ran.
func (s *Sampler) collector() (gc, total float64) {
	metrics.Read(s.runtime)
	return s.runtime[0].Value.Float64(), s.runtime[2].Value.Float64() - s.runtime[1].Value.Float64()
}
