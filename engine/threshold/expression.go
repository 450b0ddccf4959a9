package threshold

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"hive/engine/metric"
)

// expression is a parsed "p(95) < 500".
type expression struct {
	agg      string  // canonical: "p(95)"
	op       string  // "<", "<=", ">", ">=", "==" or "!="
	limit    float64 // in the metric's unit
	quantile float64 // of p(N) and med, 0 to 1
}

var expressionSyntax = regexp.MustCompile(`^\s*([a-zA-Z]+(?:\s*\([^)]*\))?)\s*(<=|<|>=|>|===|==|!=)\s*(\S+)\s*$`)

// parse reads "AGG OP NUMBER".
func parse(source string) (expression, error) {
	m := expressionSyntax.FindStringSubmatch(source)
	if m == nil {
		return expression{}, errors.New("it must be an aggregation, a comparison (<, <=, >, >=, == or !=) and a number, such as p(95)<500")
	}
	e := expression{op: m[2]}
	if e.op == "===" {
		e.op = "=="
	}
	var err error
	if e.limit, err = parseNumber(m[3]); err != nil {
		return expression{}, err
	}
	e.agg = strings.Join(strings.Fields(m[1]), "")
	switch inner, isP := strings.CutPrefix(e.agg, "p("); {
	case isP:
		n, err := parseNumber(strings.TrimSuffix(inner, ")"))
		if err != nil || !(n >= 0 && n <= 100) {
			return expression{}, fmt.Errorf("the percentile in %s must be a number from 0 to 100", e.agg)
		}
		e.quantile = n / 100
	case e.agg == "med":
		e.quantile = 0.5
	}
	return e, nil
}

// parseNumber reads a decimal number, with an exponent if need be, or an infinity.
func parseNumber(s string) (float64, error) {
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || strings.ContainsAny(s, "xX_") || f != f {
		return 0, fmt.Errorf("%q is no number; units and percent signs are not allowed", s)
	}
	return f, nil
}

// aggregations are those that each kind of metric has; a trend also has p(N).
var aggregations = map[metric.Kind][]string{
	metric.Counter: {"count", "rate"},
	metric.Gauge:   {"value"},
	metric.Rate:    {"rate"},
	metric.Trend:   {"avg", "min", "max", "med", "p(N)"},
}

// fits checks that metrics of kind k have the expression's aggregation.
func (e expression) fits(k metric.Kind) error {
	name := e.agg
	if strings.HasPrefix(name, "p(") {
		name = "p(N)"
	}
	for _, a := range aggregations[k] {
		if a == name {
			return nil
		}
	}
	return fmt.Errorf("a %v has no %s, only %s", k, e.agg, strings.Join(aggregations[k], ", "))
}

// holds compares an observed value with the limit.
func (e expression) holds(v float64) bool {
	switch e.op {
	case "<":
		return v < e.limit
	case "<=":
		return v <= e.limit
	case ">":
		return v > e.limit
	case ">=":
		return v >= e.limit
	case "==":
		return v == e.limit
	default:
		return v != e.limit
	}
}
