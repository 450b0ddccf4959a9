package options

// entry is one option: what it is called and where a Layer keeps it.
type entry struct {
	name string
	env  string // variable that sets it; "" when none does
	at   func(l *Layer) any
}

// entries returns all options, in the order in which they are written.
func entries() []entry {
	return []entry{
		{"paused", "K6_PAUSED", func(l *Layer) any { return &l.Paused }},
		{"vus", "K6_VUS", func(l *Layer) any { return &l.VUs }},
		{"duration", "K6_DURATION", func(l *Layer) any { return &l.Duration }},
		{"iterations", "K6_ITERATIONS", func(l *Layer) any { return &l.Iterations }},
		{"stages", "K6_STAGES", func(l *Layer) any { return &l.Stages }},
		{"scenarios", "", func(l *Layer) any { return &l.Scenarios }},
		{"executionSegment", "", func(l *Layer) any { return &l.ExecutionSegment }},
		{"executionSegmentSequence", "", func(l *Layer) any { return &l.ExecutionSegmentSequence }},
		{"noSetup", "K6_NO_SETUP", func(l *Layer) any { return &l.NoSetup }},
		{"setupTimeout", "K6_SETUP_TIMEOUT", func(l *Layer) any { return &l.SetupTimeout }},
		{"noTeardown", "K6_NO_TEARDOWN", func(l *Layer) any { return &l.NoTeardown }},
		{"teardownTimeout", "K6_TEARDOWN_TIMEOUT", func(l *Layer) any { return &l.TeardownTimeout }},
		{"handleSummaryTimeout", "K6_HANDLE_SUMMARY_TIMEOUT", func(l *Layer) any { return &l.HandleSummaryTimeout }},
		{"rps", "K6_RPS", func(l *Layer) any { return &l.RPS }},
		{"dns", "K6_DNS", func(l *Layer) any { return &l.DNS }},
		{"maxRedirects", "K6_MAX_REDIRECTS", func(l *Layer) any { return &l.MaxRedirects }},
		{"userAgent", "K6_USER_AGENT", func(l *Layer) any { return &l.UserAgent }},
		{"batch", "K6_BATCH", func(l *Layer) any { return &l.Batch }},
		{"batchPerHost", "K6_BATCH_PER_HOST", func(l *Layer) any { return &l.BatchPerHost }},
		{"httpDebug", "K6_HTTP_DEBUG", func(l *Layer) any { return &l.HTTPDebug }},
		{"insecureSkipTLSVerify", "K6_INSECURE_SKIP_TLS_VERIFY", func(l *Layer) any { return &l.InsecureSkipTLSVerify }},
		{"tlsCipherSuites", "K6_TLS_CIPHER_SUITES", func(l *Layer) any { return &l.TLSCipherSuites }},
		{"tlsVersion", "", func(l *Layer) any { return &l.TLSVersion }},
		{"tlsAuth", "", func(l *Layer) any { return &l.TLSAuth }},
		{"throw", "K6_THROW", func(l *Layer) any { return &l.Throw }},
		{"thresholds", "", func(l *Layer) any { return &l.Thresholds }},
		{"blacklistIPs", "K6_BLACKLIST_IPS", func(l *Layer) any { return &l.BlacklistIPs }},
		{"blockHostnames", "K6_BLOCK_HOSTNAMES", func(l *Layer) any { return &l.BlockHostnames }},
		{"hosts", "", func(l *Layer) any { return &l.Hosts }},
		{"noConnectionReuse", "K6_NO_CONNECTION_REUSE", func(l *Layer) any { return &l.NoConnectionReuse }},
		{"noVUConnectionReuse", "K6_NO_VU_CONNECTION_REUSE", func(l *Layer) any { return &l.NoVUConnectionReuse }},
		{"minIterationDuration", "K6_MIN_ITERATION_DURATION", func(l *Layer) any { return &l.MinIterationDuration }},
		{"cloud", "", func(l *Layer) any { return &l.Cloud }},
		{"ext", "", func(l *Layer) any { return &l.Ext }},
		{"summaryTrendStats", "K6_SUMMARY_TREND_STATS", func(l *Layer) any { return &l.SummaryTrendStats }},
		{"summaryTimeUnit", "K6_SUMMARY_TIME_UNIT", func(l *Layer) any { return &l.SummaryTimeUnit }},
		{"systemTags", "K6_SYSTEM_TAGS", func(l *Layer) any { return &l.SystemTags }},
		{"tags", "K6_TAGS", func(l *Layer) any { return &l.Tags }},
		{"metricSamplesBufferSize", "K6_METRIC_SAMPLES_BUFFER_SIZE", func(l *Layer) any { return &l.MetricSamplesBufferSize }},
		{"noCookiesReset", "K6_NO_COOKIES_RESET", func(l *Layer) any { return &l.NoCookiesReset }},
		{"discardResponseBodies", "K6_DISCARD_RESPONSE_BODIES", func(l *Layer) any { return &l.DiscardResponseBodies }},
		{"consoleOutput", "K6_CONSOLE_OUTPUT", func(l *Layer) any { return &l.ConsoleOutput }},
		{"localIPs", "K6_LOCAL_IPS", func(l *Layer) any { return &l.LocalIPs }},
	}
}

// notExported are options that no script may set.
func notExported() []string { return []string{"consoleOutput", "localIPs"} }

// configOnly are keys of a configuration file that are not options of a test.
func configOnly() []string {
	return []string{"out", "linger", "noUsageReport", "webDashboard", "noArchiveUpload", "collectors", "features"}
}
