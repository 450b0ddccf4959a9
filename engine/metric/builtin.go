package metric

// Builtin are the metrics that hive itself emits, with k6's names and types, and one of its own: IterationLateness says
// how long after its time each iteration of an arrival-rate executor started. Summaries leave that one out unless a
// threshold names it.
type Builtin struct {
	VUs, VUsMax                                              *Metric
	Iterations, IterationDuration, DroppedIterations         *Metric
	IterationLateness                                        *Metric
	Checks, GroupDuration                                    *Metric
	DataSent, DataReceived                                   *Metric
	HTTPReqs, HTTPReqDuration, HTTPReqFailed                 *Metric
	HTTPReqBlocked, HTTPReqConnecting, HTTPReqTLSHandshaking *Metric
	HTTPReqSending, HTTPReqWaiting, HTTPReqReceiving         *Metric
}

// Lateness is the name of the metric IterationLateness.
const Lateness = "iteration_lateness"

func newBuiltin(r *Registry) *Builtin {
	return &Builtin{
		VUs:                   r.add("vus", Gauge, Default),
		VUsMax:                r.add("vus_max", Gauge, Default),
		Iterations:            r.add("iterations", Counter, Default),
		IterationDuration:     r.add("iteration_duration", Trend, Time),
		DroppedIterations:     r.add("dropped_iterations", Counter, Default),
		IterationLateness:     r.add(Lateness, Trend, Time),
		Checks:                r.add("checks", Rate, Default),
		GroupDuration:         r.add("group_duration", Trend, Time),
		HTTPReqs:              r.add("http_reqs", Counter, Default),
		HTTPReqDuration:       r.add("http_req_duration", Trend, Time),
		HTTPReqBlocked:        r.add("http_req_blocked", Trend, Time),
		HTTPReqConnecting:     r.add("http_req_connecting", Trend, Time),
		HTTPReqTLSHandshaking: r.add("http_req_tls_handshaking", Trend, Time),
		HTTPReqSending:        r.add("http_req_sending", Trend, Time),
		HTTPReqWaiting:        r.add("http_req_waiting", Trend, Time),
		HTTPReqReceiving:      r.add("http_req_receiving", Trend, Time),
		HTTPReqFailed:         r.add("http_req_failed", Rate, Default),
		DataSent:              r.add("data_sent", Counter, Data),
		DataReceived:          r.add("data_received", Counter, Data),
	}
}
