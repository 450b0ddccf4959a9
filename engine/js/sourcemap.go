package js

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// fitSourceMap changes a source map (version 3) for the way in which it is
// looked up: generated positions move down by the line of the function around
// the body, columns count from 1 on both sides, and a last segment closes the
// map, for nothing is found behind the last one.
func fitSourceMap(sourceMap []byte) ([]byte, error) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(sourceMap, &fields); err != nil {
		return nil, err
	}
	var mappings string
	if err := json.Unmarshal(fields["mappings"], &mappings); err != nil {
		return nil, fmt.Errorf("mappings: %w", err)
	}
	fitted, err := fitMappings(mappings)
	if err != nil {
		return nil, fmt.Errorf("mappings: %w", err)
	}
	if fields["mappings"], err = json.Marshal(fitted); err != nil {
		return nil, err
	}
	return json.Marshal(fields)
}

// fitMappings works on differences: a column that counts from 1 is one more in
// the first segment of a line, and in the first segment that names a source.
func fitMappings(mappings string) (string, error) {
	var out strings.Builder
	sourced := false
	for line := range strings.SplitSeq(mappings, ";") {
		out.WriteByte(';')
		for i, segment := range strings.Split(line, ",") {
			if i > 0 {
				out.WriteByte(',')
			}
			if segment == "" || (i > 0 && sourced) {
				out.WriteString(segment)
				continue
			}
			values, err := decodeVLQ(segment)
			if err != nil {
				return "", err
			}
			if i == 0 {
				values[0]++
			}
			if len(values) >= 4 && !sourced {
				values[3]++
				sourced = true
			}
			encodeVLQ(&out, values)
		}
	}
	if sourced {
		out.WriteString(";AAAA")
	}
	return out.String(), nil
}

const digits64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

var errVLQ = errors.New("not a base 64 VLQ")

// decodeVLQ reads the numbers of a segment: digits of five bits, the lowest
// first, with the sign in the lowest bit of all.
func decodeVLQ(segment string) ([]int, error) {
	var values []int
	value, shift := 0, 0
	for _, c := range segment {
		digit := strings.IndexRune(digits64, c)
		if digit < 0 || shift > 30 {
			return nil, errVLQ
		}
		value |= digit & 31 << shift
		shift += 5
		if digit&32 != 0 {
			continue
		}
		if value&1 != 0 {
			value = -value
		}
		values = append(values, value/2)
		value, shift = 0, 0
	}
	if shift != 0 || len(values) == 0 {
		return nil, errVLQ
	}
	return values, nil
}

func encodeVLQ(out *strings.Builder, values []int) {
	for _, v := range values {
		v *= 2
		if v < 0 {
			v = -v | 1
		}
		for ; v > 31; v >>= 5 {
			out.WriteByte(digits64[v&31|32])
		}
		out.WriteByte(digits64[v])
	}
}
