package main

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// sizeUnits are what sizes of memory are given in.
var sizeUnits = []struct {
	name  string
	bytes float64
}{
	{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"TiB", 1 << 40},
	{"kB", 1e3}, {"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"TB", 1e12},
	{"K", 1 << 10}, {"M", 1 << 20}, {"G", 1 << 30}, {"T", 1 << 40}, {"B", 1},
}

// parseSize reads a size of memory in bytes: 2GiB, 500MB, or 80% of total, which is 0 when it is not known.
func parseSize(s string, total uint64) (int64, error) {
	s = strings.TrimSpace(s)
	number, unit := s, 1.0
	if part, ok := strings.CutSuffix(s, "%"); ok {
		if total == 0 {
			return 0, fmt.Errorf("the memory of this machine is not known: give a size, such as 2GiB")
		}
		number, unit = part, float64(total)/100
	} else {
		for _, u := range sizeUnits {
			if n, ok := strings.CutSuffix(s, u.name); ok {
				number, unit = n, u.bytes
				break
			}
		}
	}
	v, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
	if bytes := v * unit; err == nil && bytes >= 1 && bytes < math.MaxInt64 && (!strings.HasSuffix(s, "%") || v <= 100) {
		return int64(bytes), nil
	}
	return 0, fmt.Errorf("want a size such as 2GiB or 500MB, or a part of the machine's memory such as 80%%")
}
