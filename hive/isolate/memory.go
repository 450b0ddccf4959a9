package isolate

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"hive/engine/machine"
)

const (
	// minMemory is what an engine takes before its script does anything, about, and some room.
	minMemory = 64 << 20
	// memoryShare is the part of what the node may use that it leaves to itself and its engine together.
	memoryShare = 0.8
	// collectorShare is the part of the limit from which on the engine's garbage collector works harder.
	collectorShare = 0.9
	// scarce is the part of the machine's memory that stays free.
	scarce = 0.05
)

// units are the sizes that people write, the longer suffixes first.
var units = []struct {
	suffix string
	bytes  float64
}{
	{"KIB", 1 << 10}, {"MIB", 1 << 20}, {"GIB", 1 << 30}, {"TIB", 1 << 40},
	{"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"TB", 1e12}, {"B", 1},
}

// ParseMemory reads how much memory an engine may use, in bytes: a number with a unit ("2GiB", "500MB"), a number of
// bytes, or a part of total ("80%"). Total is what there is, in bytes, 0 when that is not known.
func ParseMemory(text string, total int64) (int64, error) {
	number, scale := strings.ToUpper(strings.TrimSpace(text)), 1.0
	if n, ok := strings.CutSuffix(number, "%"); ok {
		if total <= 0 {
			return 0, fmt.Errorf("want a size like 2GiB or 500MB, found %q: how much memory this machine has is not known", text)
		}
		number, scale = n, float64(total)/100
	} else {
		for _, u := range units {
			if n, ok := strings.CutSuffix(number, u.suffix); ok {
				number, scale = n, u.bytes
				break
			}
		}
	}
	n, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
	switch {
	case err != nil || math.IsNaN(n) || math.IsInf(n, 0):
		return 0, fmt.Errorf("want a size like 2GiB or 500MB, or a part of the machine's memory like 80%%, found %q", text)
	case strings.Contains(text, "%") && n > 100:
		return 0, fmt.Errorf("want at most 100%%, found %q", text)
	case n*scale < minMemory:
		return 0, fmt.Errorf("an engine needs at least %s, found %q", size(minMemory), text)
	case n*scale >= math.MaxInt64:
		return 0, fmt.Errorf("%q is more than any machine has", text)
	}
	return int64(n * scale), nil
}

// size writes a number of bytes for people: "1.5 GiB".
func size(bytes int64) string {
	for _, u := range []struct {
		name  string
		bytes int64
	}{{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}} {
		if bytes >= u.bytes {
			return strings.TrimSuffix(strconv.FormatFloat(float64(bytes)/float64(u.bytes), 'f', 1, 64), ".0") + " " + u.name
		}
	}
	return strconv.FormatInt(bytes, 10) + " bytes"
}

// DefaultMemory is how much an engine may use when nobody says: most of what the node may, without what it uses itself;
// 0, for no limit, where that cannot be learned.
func DefaultMemory() int64 {
	total := machine.Memory()
	if total == 0 {
		return 0
	}
	return max(minMemory, int64(float64(total)*memoryShare)-machine.Resident(0))
}

// overLimit says in words why a process must use no more memory, "" when it may.
func overLimit(resident, limit int64) string {
	if limit > 0 && resident > limit {
		return fmt.Sprintf("it used %s, more than --engine-memory %s", size(resident), size(limit))
	}
	return ""
}

// tooScarce says in words that the machine's memory runs out, "" while it does not. A process that holds little of it is
// not to blame, and its end would not help.
func tooScarce(resident int64, free, total uint64, spare float64) string {
	least := uint64(float64(total) * spare)
	if total == 0 || free >= least || resident < int64(least) {
		return ""
	}
	return fmt.Sprintf("it used %s, and only %s of the machine's %s were free, less than %.0f%%", size(resident), size(int64(free)), size(int64(total)), spare*100)
}
