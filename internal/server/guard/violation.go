package guard

import (
	"fmt"
	"regexp"
	"strings"

	"buf.build/go/protovalidate"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// sentence says what a field takes, to people: in the words and names that callers write, and never with the value
// that was given. What it says follows from the rule alone, so both transports say the same.
func sentence(v *protovalidate.Violation, field protoreflect.FieldDescriptor) string {
	if v.RuleDescriptor == nil {
		return noSentence
	}
	return ruleSentence(v.RuleDescriptor, v.RuleValue, field)
}

// noSentence stands for a rule that has no sentence. A test holds the API to having none.
const noSentence = "does not have the form that its description tells"

// ruleSentence says what one rule of a field asks for.
func ruleSentence(
	rule protoreflect.FieldDescriptor, value protoreflect.Value, field protoreflect.FieldDescriptor,
) string {
	switch name := rule.Name(); name {
	case "required":
		return "is needed"
	case "defined_only", "in", "not_in":
		return oneOf(rule, value, field)
	case "min_len", "min_items", "min_bytes":
		if value.Uint() == 1 {
			return "must not be empty"
		}
		return fmt.Sprintf("must have at least %s", count(value.Uint(), unit(rule)))
	case "max_len", "max_items", "max_bytes":
		return fmt.Sprintf("must have at most %s", count(value.Uint(), unit(rule)))
	case "len":
		return fmt.Sprintf("must have %s", count(value.Uint(), unit(rule)))
	case "unique":
		return "must not hold a value twice"
	case "uri":
		return "must be an absolute URI such as https://app.example.com/done"
	case "pattern":
		return form(value.String())
	case "gte", "gt", "lte", "lt":
		return bound(name, value)
	}
	return noSentence
}

// unit is what a rule about a length counts.
func unit(rule protoreflect.FieldDescriptor) string {
	switch {
	case rule.ContainingMessage().Name() == "RepeatedRules":
		return "element"
	case rule.ContainingMessage().Name() == "BytesRules", strings.HasSuffix(string(rule.Name()), "_bytes"):
		return "byte"
	}
	return "character"
}

func count(n uint64, unit string) string {
	if n == 1 {
		return "1 " + unit
	}
	return fmt.Sprintf("%d %ss", n, unit)
}

func bound(rule protoreflect.Name, value protoreflect.Value) string {
	switch {
	case rule == "gte" && value.String() == "0":
		return "must not be negative"
	case rule == "gte":
		return "must be at least " + value.String()
	case rule == "gt":
		return "must be more than " + value.String()
	case rule == "lte":
		return "must be at most " + value.String()
	}
	return "must be less than " + value.String()
}

// oneOf lists what a field may hold. Of an enum those are its values' names, but for the one that means that nothing
// was said.
func oneOf(rule protoreflect.FieldDescriptor, value protoreflect.Value, field protoreflect.FieldDescriptor) string {
	listed := map[string]bool{}
	if list, ok := value.Interface().(protoreflect.List); ok {
		for i := range list.Len() {
			listed[list.Get(i).String()] = true
		}
	}
	if field == nil || field.Enum() == nil {
		var names []string
		if list, ok := value.Interface().(protoreflect.List); ok && rule.Name() == "in" {
			for i := range list.Len() {
				names = append(names, list.Get(i).String())
			}
			return "must be one of " + strings.Join(names, ", ")
		}
		return noSentence
	}
	var names []string
	values := field.Enum().Values()
	for i := range values.Len() {
		number := fmt.Sprint(values.Get(i).Number())
		if number == "0" || rule.Name() == "in" && !listed[number] || rule.Name() == "not_in" && listed[number] {
			continue
		}
		names = append(names, string(values.Get(i).Name()))
	}
	return "must be one of " + strings.Join(names, ", ")
}

// forms are the patterns of the API that are not those of names.
var forms = map[string]string{
	`^[ -~]+$`:                         "must be printable ASCII characters",
	`^[0-9]{4}-[0-9]{2}-[0-9]{2}$`:     "must be a date such as 2026-03-31",
	`^[A-Z]{2}$`:                       "must be a country's two capital letters such as DE",
	`^[A-Z]{3}$`:                       "must be a currency's three capital letters such as EUR",
	`^-?[0-9]{1,32}([.][0-9]{1,18})?$`: "must be a decimal number such as -24.99",
	`^(providers/)?[a-z][a-z0-9-]*$`:   "must be a provider's name such as providers/{provider}, or its id alone",
	`^(partnerBanks/)?[A-Za-z0-9._~-]+$`: "must be a partner bank's name such as partnerBanks/{partnerBank}, " +
		"or its id alone",
}

// named matches the pattern of a resource's name, such as ^consents/[^/]+/insights$.
var named = regexp.MustCompile(`^\^[A-Za-z]+(/\[\^/\]\+|/[A-Za-z]+)+\$$`)

// form says what has a pattern.
func form(pattern string) string {
	if text, ok := forms[pattern]; ok {
		return text
	}
	if !named.MatchString(pattern) {
		return noSentence
	}
	segments := strings.Split(strings.ReplaceAll(strings.Trim(pattern, "^$"), "[^/]+", "*"), "/")
	for i, segment := range segments {
		if segment == "*" {
			segments[i] = "{" + strings.TrimSuffix(segments[i-1], "s") + "}"
		}
	}
	return "must be a name of the form " + strings.Join(segments, "/")
}
