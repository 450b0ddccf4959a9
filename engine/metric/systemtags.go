package metric

// SystemTags is a set of the tags that hive itself puts on samples.
type SystemTags uint32

// The system tags.
const (
	TagProto SystemTags = 1 << iota
	TagSubproto
	TagStatus
	TagMethod
	TagURL
	TagName
	TagGroup
	TagCheck
	TagError
	TagErrorCode
	TagTLSVersion
	TagScenario
	TagService
	TagExpectedResponse
	TagIter
	TagVU
	TagOCSPStatus
	TagIP
)

// DefaultSystemTags are those that are on when nothing else is asked for.
const DefaultSystemTags = TagProto | TagSubproto | TagStatus | TagMethod | TagURL | TagName | TagGroup | TagCheck |
	TagError | TagErrorCode | TagTLSVersion | TagScenario | TagService | TagExpectedResponse

// systemTagNames are the names by bit.
var systemTagNames = [...]string{
	"proto", "subproto", "status", "method", "url", "name", "group", "check", "error", "error_code", "tls_version",
	"scenario", "service", "expected_response", "iter", "vu", "ocsp_status", "ip",
}

// ParseSystemTags returns the set of the tags named; unknown names are ignored, as k6 does.
func ParseSystemTags(names []string) SystemTags {
	var s SystemTags
	for _, name := range names {
		for i, known := range systemTagNames {
			if name == known {
				s |= 1 << i
			}
		}
	}
	return s
}

// Has says whether all tags of t are in s.
func (s SystemTags) Has(t SystemTags) bool { return s&t == t }

// Names are the names of the tags in s, in the order of the constants.
func (s SystemTags) Names() []string {
	names := []string{}
	for i, name := range systemTagNames {
		if s&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return names
}
