package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// parser walks the YAML nodes and collects what is wrong with them.
type parser struct {
	file     string
	options  Options
	problems Problems
	warnings Problems
	// unread are the paths of the values that were not resolved: see Options.Reads.
	unread []string
	// dataFolder is where the store's data lies, as far as that is a folder on this machine.
	dataFolder string
}

// value is one node with its place.
type value struct {
	parser *parser
	node   *yaml.Node
	path   string
}

// fields tells for each key of a mapping what to do with its value.
type fields map[string]func(value)

func (v value) problem(message string) {
	v.parser.problems = append(v.parser.problems,
		Problem{File: v.parser.file, Line: v.node.Line, Path: v.path, Message: message})
}

var yamlLine = regexp.MustCompile(`line (\d+)`)

// document gives the root of a file's only document. The YAML library's messages may quote the file, so only their line
// is taken over.
func (p *parser) document(data []byte) (value, bool) {
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	var node, more yaml.Node
	err := decoder.Decode(&node)
	if err == nil {
		if err = decoder.Decode(&more); errors.Is(err, io.EOF) {
			return value{parser: p, node: node.Content[0]}, true
		}
		if err == nil {
			p.problems = append(p.problems,
				Problem{File: p.file, Line: more.Line, Message: "a second document begins; there must be only one"})
			return value{}, false
		}
	}
	problem := Problem{File: p.file, Message: "is not valid YAML"}
	if errors.Is(err, io.EOF) {
		problem.Message = "is empty"
	} else if match := yamlLine.FindStringSubmatch(err.Error()); match != nil {
		problem.Line, _ = strconv.Atoi(match[1])
	}
	p.problems = append(p.problems, problem)
	return value{}, false
}

// plain follows an alias to what it stands for.
func (v value) plain() *yaml.Node {
	node := v.node
	for node.Kind == yaml.AliasNode {
		node = node.Alias
	}
	return node
}

func (v value) isNull() bool {
	node := v.plain()
	return node.Kind == yaml.ScalarNode && node.Tag == "!!null"
}

// each calls do for every key of a mapping, in order, once a key.
func (v value) each(do func(key string, child value)) bool {
	node := v.plain()
	switch {
	case v.isNull():
		v.problem("has no value")
		return false
	case node.Kind != yaml.MappingNode:
		v.problem("must be a mapping of keys to values")
		return false
	}
	seen := map[string]bool{}
	for i := 0; i < len(node.Content); i += 2 {
		key, item := node.Content[i], node.Content[i+1]
		child := value{parser: v.parser, node: atLine(item, key.Line), path: join(v.path, key.Value)}
		switch {
		case key.Kind != yaml.ScalarNode || key.Value == "" || key.Value == "<<":
			value{parser: v.parser, node: key, path: v.path}.problem("has a key that is not a plain word")
		case seen[key.Value]:
			child.problem("appears twice")
		default:
			do(key.Value, child)
		}
		seen[key.Value] = true
	}
	return true
}

// atLine gives the node with its key's line: a problem with a value stands where its key stands, also when the value
// begins below.
func atLine(node *yaml.Node, line int) *yaml.Node {
	moved := *node
	moved.Line = line
	return &moved
}

// object reads a mapping with known keys.
func (v value) object(known fields, required ...string) {
	seen := map[string]bool{}
	ok := v.each(func(key string, child value) {
		seen[key] = true
		read, isKnown := known[key]
		if !isKnown {
			child.problem("there is no such key")
			return
		}
		read(child)
	})
	if !ok {
		return
	}
	for _, key := range required {
		if !seen[key] {
			value{parser: v.parser, node: v.node, path: join(v.path, key)}.problem("is missing")
		}
	}
}

// list reads a sequence, item by item. An empty one is a problem.
func (v value) list(item func(value)) {
	node := v.plain()
	switch {
	case v.isNull():
		v.problem("has no value")
	case node.Kind != yaml.SequenceNode:
		v.problem("must be a list")
	case len(node.Content) == 0:
		v.problem("must have at least one entry")
	}
	for i, child := range v.items() {
		item(value{parser: v.parser, node: child, path: v.path + "[" + strconv.Itoa(i) + "]"})
	}
}

// items gives the nodes of a sequence, none for anything else.
func (v value) items() []*yaml.Node {
	if node := v.plain(); node.Kind == yaml.SequenceNode {
		return node.Content
	}
	return nil
}

// oneOrList reads a single value, or a sequence of them.
func (v value) oneOrList(item func(value)) {
	if v.plain().Kind == yaml.SequenceNode {
		v.list(item)
	} else {
		item(v)
	}
}

// at finds a key of a mapping that has been read before. The name that problems have for keys that are no plain word
// finds the first such.
func (v value) at(key string, do func(value)) {
	node := v.plain()
	for i := 0; node.Kind == yaml.MappingNode && i < len(node.Content); i += 2 {
		if name := node.Content[i].Value; name == key || key == oddKey && join("", name) == oddKey {
			do(value{parser: v.parser, node: atLine(node.Content[i+1], node.Content[i].Line), path: join(v.path, key)})
			return
		}
	}
}

// has tells whether a mapping has a key.
func (v value) has(key string) (found bool) {
	v.at(key, func(value) { found = true })
	return found
}

// text reads a scalar with ${env:...} and ${file:...} replaced. It is never empty: an empty scalar is a problem.
func (v value) text() (string, bool) {
	node := v.plain()
	switch {
	case v.isNull():
		v.problem("has no value")
		return "", false
	case node.Kind != yaml.ScalarNode:
		v.problem("must be a single value")
		return "", false
	}
	if !v.parser.reads(v.path) && reference.MatchString(node.Value) {
		for _, match := range reference.FindAllString(node.Value, -1) {
			if _, _, err := parseReference(match); err != nil {
				v.problem(err.Error())
				return "", false
			}
		}
		v.parser.unread = append(v.parser.unread, v.path)
		return "", false
	}
	text, err := v.expand(node.Value)
	if err != nil {
		v.problem(err.Error())
		return "", false
	}
	if text == "" {
		v.problem("must not be empty")
		return "", false
	}
	return text, true
}

var reference = regexp.MustCompile(`\$\{[^}]*\}?`)

// parseReference takes a reference apart.
func parseReference(match string) (kind, name string, err error) {
	kind, name, _ = strings.Cut(strings.TrimSuffix(strings.TrimPrefix(match, "${"), "}"), ":")
	if !strings.HasSuffix(match, "}") || name == "" || kind != "env" && kind != "file" {
		return "", "", errors.New("may refer to ${env:NAME} or ${file:/path} only")
	}
	return kind, name, nil
}

// reads tells whether references are resolved at a path.
func (p *parser) reads(path string) bool {
	return p.options.Reads == nil ||
		slices.ContainsFunc(p.options.Reads, func(key string) bool { return within(path, key) })
}

// known tells whether all of a value, and of what is above it, could be read.
func (v value) known() bool {
	return !slices.ContainsFunc(v.parser.unread, func(path string) bool {
		return within(path, v.path) || within(v.path, path)
	})
}

// expand replaces each ${env:NAME} and ${file:/path}. A file's line ends at its end are left out. An error says what
// went wrong and neither name nor path.
func (v value) expand(text string) (string, error) {
	p := v.parser
	var failure error
	expanded := reference.ReplaceAllStringFunc(text, func(match string) string {
		kind, name, err := parseReference(match)
		switch {
		case err != nil:
			failure = err
		case kind == "env":
			if found, ok := p.options.Env(name); ok {
				return found
			}
			failure = errors.New("the environment variable is not set")
		default:
			path, err := p.path(name)
			var content []byte
			if err == nil {
				content, err = p.options.ReadFile(path)
			}
			if err == nil {
				if p.options.Exposed != nil && p.options.Exposed(path) {
					v.exposed("comes from a file that")
				}
				return strings.TrimRight(string(content), "\r\n")
			}
			failure = errors.New("cannot read the secret file" + why(err))
		}
		return ""
	})
	return expanded, failure
}

// why says in a few words why a file cannot be read, without its name.
func why(err error) string {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return ": there is no such file"
	case errors.Is(err, fs.ErrPermission):
		return ": this user may not"
	default:
		return ""
	}
}

// scalar gives a reader of a single value into dst. Parse's error must not hold the value.
func scalar[T any](dst *T, parse func(string) (T, error)) func(value) {
	return func(v value) {
		text, ok := v.text()
		if !ok {
			return
		}
		parsed, err := parse(text)
		if err != nil {
			v.problem(err.Error())
			return
		}
		*dst = parsed
	}
}

// number reads a whole number between two bounds.
func number(low, high int) func(string) (int, error) {
	return func(text string) (int, error) {
		n, err := strconv.Atoi(text)
		if err != nil || n < low || n > high {
			return 0, fmt.Errorf("must be a whole number from %d to %d", low, high)
		}
		return n, nil
	}
}

// oneOf reads one of some words.
func oneOf(words ...string) func(string) (string, error) {
	return func(text string) (string, error) {
		if !slices.Contains(words, text) {
			return "", errors.New("must be one of: " + strings.Join(words, ", "))
		}
		return text, nil
	}
}

// oddKey stands in problems for a key that is no plain word.
const oddKey = "(key)"

func join(path, key string) string {
	// A key that is not a plain word might be a value in the wrong place.
	if !plainKey.MatchString(key) {
		key = oddKey
	}
	if path == "" {
		return key
	}
	return path + "." + key
}

var plainKey = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$`)
