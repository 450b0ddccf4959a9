package machine

import (
	"os"
	"runtime"
	"slices"
	"testing"
	"time"
)

func TestSampler(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux tells")
	}
	s := NewSampler()
	for end := time.Now().Add(2 * minSample); time.Now().Before(end); {
		runtime.GC()
	}
	cpu, memory, gc, sockets, most := s.Sample()
	if cpu <= 0 || cpu > float64(runtime.NumCPU())+1 {
		t.Errorf("%.2f cores in use while working, want more than 0 and at most %d", cpu, runtime.NumCPU())
	}
	if gc <= 0 || gc > 1 {
		t.Errorf("the collector took %.2f of the CPU time, want a part of it", gc)
	}
	if memory < 1<<20 || uint64(memory) > Memory() {
		t.Errorf("%d bytes resident, want between 1 MiB and all there are", memory)
	}
	if sockets < 3 || most < sockets {
		t.Errorf("%d of %d files open, want at least the standard streams", sockets, most)
	}
	again, _, _, _, _ := s.Sample()
	if again != cpu {
		t.Errorf("a sample right after one shows %.2f cores, want the same stretch's %.2f", again, cpu)
	}
}

func TestOpenFiles(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux tells")
	}
	before := openFiles()
	for range 5 {
		f, err := os.Open(os.DevNull)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
	}
	if got := openFiles(); got != before+5 {
		t.Errorf("%d open files after opening 5 more than %d", got, before)
	}
}

func TestResident(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux tells")
	}
	if own, again := Resident(0), Resident(os.Getpid()); own == 0 || again == 0 {
		t.Errorf("resident: %d by itself, %d by its number", own, again)
	}
	if got := Resident(1 << 30); got != 0 {
		t.Errorf("%d bytes of a process that is not there", got)
	}
}

func TestAvailable(t *testing.T) {
	free, total := Available()
	if runtime.GOOS == "linux" && (free == 0 || free > total || total != Memory()) {
		t.Errorf("%d of %d bytes are free, and there are %d", free, total, Memory())
	}
}

func TestGroupPaths(t *testing.T) {
	for _, tt := range []struct {
		text string
		want []groupPath
	}{
		{"0::/\n", []groupPath{{"/", true}}},
		{"0::/system.slice/hive.service\n", []groupPath{{"/system.slice/hive.service", true}, {"/system.slice", true}, {"/", true}}},
		{"8:pids:/\n4:memory:/a\n0::/", []groupPath{{"/a", false}, {"/", false}, {"/", true}}},
		{"5:cpu,memory:/", []groupPath{{"/", false}}},
		{"", nil},
		{"nonsense\n1:x\n4:memory:relative", nil},
	} {
		if got := groupPaths(tt.text); !slices.Equal(got, tt.want) {
			t.Errorf("%q: got %v, want %v", tt.text, got, tt.want)
		}
	}
}

func BenchmarkSample(b *testing.B) {
	s := NewSampler()
	for b.Loop() {
		s.Sample()
	}
}

func BenchmarkAvailable(b *testing.B) {
	for b.Loop() {
		Available()
	}
}
