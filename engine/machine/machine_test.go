package machine

import (
	"runtime"
	"runtime/debug"
	"testing"
	"time"
)

func unset(string) (string, bool) { return "", false }

func TestPercent(t *testing.T) {
	for _, tt := range []struct {
		live uint64
		want int
	}{
		{0, 400}, {1 << 20, 400}, {8 << 20, 400}, {16 << 20, 200}, {32 << 20, 100}, {64 << 20, 50}, {80 << 20, 40}, {10 << 30, 40},
	} {
		if got := percentFor(tt.live); got != tt.want {
			t.Errorf("%d bytes in use: %d %%, want %d", tt.live, got, tt.want)
		}
	}
}

// percent reads GOGC.
func percent() int {
	now := debug.SetGCPercent(100)
	debug.SetGCPercent(now)
	return now
}

func TestTuneCollector(t *testing.T) {
	before := percent()
	limit := debug.SetMemoryLimit(-1)
	restore := TuneCollector(unset, 100<<30)
	if got, want := debug.SetMemoryLimit(-1), int64(90<<30); got != want {
		t.Errorf("memory limit %d, want %d", got, want)
	}
	held := make([]byte, 128<<20)
	for range 1000 { // the finalizer runs some time after the collection
		runtime.GC()
		if percent() == minPercent {
			break
		}
		time.Sleep(time.Millisecond)
	}
	if got := percent(); got != minPercent {
		t.Errorf("with 128 MB in use: %d %%, want %d", got, minPercent)
	}
	runtime.KeepAlive(held)
	restore()
	if got := percent(); got != before {
		t.Errorf("restored to %d %%, want %d", got, before)
	}
	if got := debug.SetMemoryLimit(-1); got != limit {
		t.Errorf("restored to a limit of %d, want %d", got, limit)
	}
}

func TestTuneCollectorLeavesEnvironmentAlone(t *testing.T) {
	before, limit := percent(), debug.SetMemoryLimit(-1)
	defer TuneCollector(func(string) (string, bool) { return "1", true }, 100<<30)()
	if got := percent(); got != before {
		t.Errorf("%d %%, want %d", got, before)
	}
	if got := debug.SetMemoryLimit(-1); got != limit {
		t.Errorf("limit %d, want %d", got, limit)
	}
}

func TestMachine(t *testing.T) {
	files, err := RaiseFiles()
	if err != nil {
		t.Fatal(err)
	}
	if files != Files() {
		t.Errorf("the limit is %d files, RaiseFiles says %d", Files(), files)
	}
	if runtime.GOOS == "linux" && (files == 0 || Memory() == 0 || Ports() == 0) {
		t.Errorf("%d files, %d bytes, %d ports: want all of them known", files, Memory(), Ports())
	}
}

func TestPortRange(t *testing.T) {
	for _, tt := range []struct {
		text string
		want int
	}{{"32768\t60999\n", 28232}, {"5 5", 1}, {"", 0}, {"a b", 0}, {"1 b", 0}, {"9 1", 0}} {
		if got := portsIn(tt.text); got != tt.want {
			t.Errorf("%q: %d ports, want %d", tt.text, got, tt.want)
		}
	}
}
