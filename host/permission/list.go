package permission

import (
	"cmp"
	"slices"
	"strings"
)

// List is an immutable set of allow and deny rules. The zero value and nil allow
// nothing. A List may be used by several goroutines at once.
type List struct {
	// Both are sorted by specificity, so that the first match is the one to quote.
	allow []Rule
	deny  []Rule
}

// Parse builds a List from the values of --allow-net and --deny-net. Each element is
// one rule or several joined by commas; a comma inside brackets does not separate.
// The error quotes the rule that is wrong and shows one that is right; it carries no
// user name, password or query of a URL that was given by mistake.
func Parse(allow, deny []string) (*List, error) {
	var l List
	var err error
	if l.allow, err = parseRules(allow, allowing); err != nil {
		return nil, err
	}
	if l.deny, err = parseRules(deny, denying); err != nil {
		return nil, err
	}
	return &l, nil
}

// AllowAll builds the List of a bare --allow-net: every name and every address of
// every class, loopback, private and metadata addresses included, except what the
// deny rules match. Hosts that are not canonical are refused by it too.
func AllowAll(deny ...string) (*List, error) {
	l, err := Parse(nil, deny)
	if err != nil {
		return nil, err
	}
	l.allow = []Rule{{kind: kindAll}}
	return l, nil
}

// parseRules parses elements and sorts the rules, the most specific first and equal
// ones in the order given.
func parseRules(elements []string, effect effect) ([]Rule, error) {
	var rules []Rule
	for _, element := range elements {
		// Before the cut: a password may hold a comma, and the piece before it no @.
		if strings.Contains(element, "@") {
			const why = "a rule carries no user name or password"
			return nil, invalid(element, why, ruleOfURL(element))
		}
		for _, text := range splitElement(element) {
			r, err := parseRule(text)
			if err != nil {
				return nil, err
			}
			r.effect = effect
			rules = append(rules, r)
		}
	}
	slices.SortStableFunc(rules, compareRules)
	return rules, nil
}

// compareRules orders rules by specificity.
func compareRules(a, b Rule) int {
	return cmp.Or(
		cmp.Compare(a.ports.count(), b.ports.count()),
		cmp.Compare(a.width(), b.width()),
	)
}

// adding returns a list that allows what r does as well, because of an answer.
func (l *List) adding(r Rule) *List {
	r.effect, r.answered = allowing, true
	allow := append(slices.Clone(l.allowRules()), r)
	slices.SortStableFunc(allow, compareRules)
	return &List{allow: allow, deny: l.denyRules()}
}

// splitElement cuts element at its commas, except inside [] and {}. Neither may hold
// a comma in a valid rule: keeping the piece whole lets the error quote it whole, and
// keeps an unclosed bracket from passing for two rules.
func splitElement(element string) []string {
	var rules []string
	start, depth := 0, 0
	for i := range len(element) {
		switch element[i] {
		case '[', '{':
			depth++
		case ']', '}':
			depth = max(0, depth-1)
		case ',':
			if depth == 0 {
				rules = append(rules, element[start:i])
				start = i + 1
			}
		}
	}
	return append(rules, element[start:])
}
