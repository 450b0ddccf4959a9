package summary

import (
	"maps"
	"slices"
	"strings"

	"hive/engine/metric"
)

// row is a metric, ready to be aligned with others.
type row struct {
	name  string   // with its indent
	trend []string // the statistics of a trend, in the order asked for
	value string   // of other kinds
	extra []string // what is shown behind it
}

// row formats a metric.
func (p *printer) row(name string, a *metric.Aggregate) row {
	r := row{name: name}
	switch a.Kind {
	case metric.Counter:
		r.value = p.format(a, a.Sum)
		r.extra = []string{p.format(a, p.in.perSecond(a.Sum)) + "/s"}
	case metric.Gauge:
		r.value = p.format(a, a.Last)
		r.extra = []string{"min=" + p.format(a, a.Min), "max=" + p.format(a, a.Max)}
	case metric.Rate:
		r.value = formatPercent(rate(a))
		r.extra = []string{outOf(a.Trues, a.Total)}
	default:
		for _, name := range p.in.stats() {
			if name == "count" {
				r.trend = append(r.trend, formatNumber(stat(a, name)))
			} else {
				r.trend = append(r.trend, p.format(a, stat(a, name)))
			}
		}
	}
	return r
}

// widths are the columns that the rows of one section share.
type widths struct {
	name  int
	value int
	extra [2]int
	trend []int
}

func measure(rows []row, stats int) widths {
	w := widths{trend: make([]int, stats)}
	for _, r := range rows {
		w.name = max(w.name, len([]rune(r.name)))
		w.value = max(w.value, len([]rune(r.value)))
		for i, e := range r.extra {
			w.extra[i] = max(w.extra[i], len([]rune(e)))
		}
		for i, t := range r.trend {
			w.trend[i] = max(w.trend[i], len([]rune(t)))
		}
	}
	return w
}

// table writes rows below each other, aligned to w or, if that is nil, to each other.
func (p *printer) table(indent string, rows []row, w *widths) {
	if w == nil {
		own := measure(rows, len(p.in.stats()))
		w = &own
	}
	for _, r := range rows {
		dots := strings.Repeat(".", w.name-len([]rune(r.name))+3) + ":"
		p.line(indent, "    ", r.name, p.style(faint+white, dots), " ", p.cells(r, w))
	}
}

func (p *printer) cells(r row, w *widths) string {
	var b strings.Builder
	if r.trend != nil {
		for i, name := range p.in.stats() {
			if i > 0 {
				b.WriteByte(' ')
			}
			b.WriteString(name + "=" + p.padded(cyan, r.trend[i], w.trend[i]))
		}
		return b.String()
	}
	b.WriteString(p.padded(cyan, r.value, w.value))
	for i, e := range r.extra {
		b.WriteByte(' ')
		if len(r.extra) == 1 {
			b.WriteString(p.style(faint+cyan, e))
		} else {
			b.WriteString(p.padded(faint+cyan, e, w.extra[i]))
		}
	}
	return b.String()
}

// padded styles s and fills the rest of its column with blanks.
func (p *printer) padded(style, s string, width int) string {
	return p.style(style, s) + pad("", width-len([]rune(s)))
}

// hidden are the metrics that are shown in another way or not at all.
var hidden = map[string]bool{"checks": true, "group_duration": true}

// detail are the phases of HTTP requests, which only the full summary shows.
var detail = map[string]bool{
	"http_req_blocked": true, "http_req_connecting": true, "http_req_tls_handshaking": true,
	"http_req_sending": true, "http_req_waiting": true, "http_req_receiving": true,
}

// blockNames are the blocks in their order.
var blockNames = []string{"CUSTOM", "HTTP", "EXECUTION", "NETWORK", "BROWSER", "WEB_VITALS", "GRPC", "WEBSOCKET"}

// members are the built-in metrics of each block; the others are custom.
var members = map[string][]string{
	"HTTP": {
		"http_reqs", "http_req_duration", "http_req_failed", "http_req_blocked", "http_req_connecting",
		"http_req_tls_handshaking", "http_req_sending", "http_req_waiting", "http_req_receiving",
	},
	"EXECUTION": {"vus", "vus_max", "iterations", "iteration_duration", "dropped_iterations"},
	"NETWORK":   {"data_sent", "data_received"},
	"BROWSER": {
		"browser_data_sent", "browser_data_received", "browser_http_req_duration", "browser_http_req_failed",
	},
	"WEB_VITALS": {
		"browser_web_vital_ttfb", "browser_web_vital_lcp", "browser_web_vital_inp", "browser_web_vital_fcp",
		"browser_web_vital_cls", "browser_web_vital_fid",
	},
	"GRPC":      {"grpc_req_duration", "grpc_streams", "grpc_streams_msgs_sent", "grpc_streams_msgs_received"},
	"WEBSOCKET": {"ws_sessions", "ws_connecting", "ws_session_duration", "ws_msgs_sent", "ws_msgs_received", "ws_ping"},
}

func blockOf(name string) string {
	for _, block := range blockNames {
		if slices.Contains(members[block], name) {
			return block
		}
	}
	return "CUSTOM"
}

// blocks writes the metrics, block by block, with one set of columns for all of them.
func (p *printer) blocks(indent string, all map[string]*metric.Aggregate) {
	children := map[string][]string{}
	for key := range all {
		if parent, _, ok := strings.Cut(key, "{"); ok {
			children[parent] = append(children[parent], key)
		}
	}
	blocks := map[string][]row{}
	var every []row
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if strings.Contains(name, "{") || hidden[name] || (detail[name] && !p.full) {
			continue
		}
		rows := []row{p.row(name, all[name])}
		slices.Sort(children[name])
		for _, key := range children[name] {
			suffix := strings.TrimSuffix(key[len(name)+1:], "}")
			rows = append(rows, p.row("  { "+suffix+" }", all[key]))
		}
		blocks[blockOf(name)] = append(blocks[blockOf(name)], rows...)
		every = append(every, rows...)
	}
	w := measure(every, len(p.in.stats()))
	for _, block := range blockNames {
		if len(blocks[block]) > 0 {
			p.line(indent, "    ", p.style(bold, block))
			p.table(indent, blocks[block], &w)
			p.line("")
		}
	}
}
