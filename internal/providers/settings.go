package providers

import (
	"context"
	"encoding"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"kontor.dev/kontor/internal/secret"
)

// Settings is one provider's block of configuration: the Config of its adapter, and how it is opened. Whoever reads a
// configuration fills in Target, asks Check, and then may Open.
type Settings struct {
	config     any
	operations []Operation
	open       func(context.Context, Deps) (*Provider, error)
}

// Target is a pointer to the adapter's Config, to be filled in.
func (s Settings) Target() any { return s.config }

// Check gives what is wrong with the configuration, by key.
func (s Settings) Check() Faults { return checkSettings(s.config, s.operations) }

// Open makes the provider. It sends nothing.
func (s Settings) Open(ctx context.Context, deps Deps) (*Provider, error) { return s.open(ctx, deps) }

// Keys lists the keys of the block.
func (s Settings) Keys() []string {
	var keys []string
	for _, field := range Fields(reflect.TypeOf(s.config).Elem()) {
		keys = append(keys, field.Key)
	}
	return keys
}

// Secrets gives every secret text of the configuration, in the order of the struct.
func (s Settings) Secrets() []secret.String {
	var secrets []secret.String
	walk(reflect.ValueOf(s.config).Elem(), func(_ string, v reflect.Value, _ tag) bool {
		if text, ok := reflect.TypeAssert[secret.String](v); ok && !text.IsZero() {
			secrets = append(secrets, text)
		}
		return true
	})
	return secrets
}

// Renew takes over the secrets of the same block as it was read anew: a provider that was opened with these settings
// logs in with them from now on. It gives the keys of the secrets that changed. Whatever else changed is passed over,
// and so is a secret where there was none: that is for the next start.
func (s Settings) Renew(fresh Settings) (changed []string) {
	read := fresh.secretsByKey()
	for key, old := range s.secretsByKey() {
		if text, ok := read[key]; ok && !old.Equal(text) && old.Replace(text) {
			changed = append(changed, key)
		}
	}
	slices.Sort(changed)
	return changed
}

// secretsByKey gives every secret text that is set, by its key.
func (s Settings) secretsByKey() map[string]secret.String {
	secrets := map[string]secret.String{}
	walk(reflect.ValueOf(s.config).Elem(), func(key string, v reflect.Value, _ tag) bool {
		if text, ok := reflect.TypeAssert[secret.String](v); ok && !text.IsZero() {
			secrets[key] = text
		}
		return true
	})
	return secrets
}

// Account tells the account at the provider apart from others: it changes with everything in the configuration that is
// no secret. Replacing a secret, or the file that it stands in, changes nothing of it.
func (s Settings) Account() string {
	var account strings.Builder
	walk(reflect.ValueOf(s.config).Elem(), func(key string, v reflect.Value, _ tag) bool {
		switch v.Type() {
		case secretType, reflect.TypeFor[File]():
			return false
		}
		if !scalar(v.Type()) {
			return true
		}
		for _, part := range []string{key, fmt.Sprint(v.Interface())} {
			// Lengths stand before the texts, so that no two configurations run together into one.
			account.WriteString(strconv.Itoa(len(part)) + ":" + part)
		}
		return true
	})
	return account.String()
}

// String says nothing: a configuration holds secrets.
func (s Settings) String() string { return "settings" }

// Fault is one thing that is wrong with an adapter's configuration. It never holds a value.
type Fault struct {
	// Key is the place within the block, such as "operations.login" or "hosts[1]"; empty for the block as a whole.
	Key string
	// Message says what is wrong, such as "is missing".
	Message string
}

// Faults are all that is wrong with an adapter's configuration.
type Faults []Fault //nolint:errname // it is both a list and an error

// Error gives one fault on each line.
func (f Faults) Error() string {
	lines := make([]string, len(f))
	for i, fault := range f {
		lines[i] = strings.TrimPrefix(fault.Key+": "+fault.Message, ": ")
	}
	return strings.Join(lines, "\n")
}

// Err gives the faults as an error, nil when there are none.
func (f Faults) Err() error {
	if len(f) == 0 {
		return nil
	}
	return f
}

// Check finds what is wrong with an adapter's configuration, a struct or a pointer to one: what is required and
// missing, what the Check methods of its values and of itself say, and what Overrides do not fit the operations. The
// methods have the form Check() error. Their errors say what is wrong without quoting it; one of type Faults has keys
// below the value's own. Values that are not set are not asked.
func Check(config any, operations []Operation) error { return checkSettings(config, operations).Err() }

func checkSettings(config any, operations []Operation) Faults {
	var faults Faults
	add := func(key string, err error) {
		var several Faults
		switch {
		case err == nil:
		case errors.As(err, &several):
			for _, fault := range several {
				faults = append(faults, Fault{Key: joinKey(key, fault.Key), Message: fault.Message})
			}
		default:
			faults = append(faults, Fault{Key: key, Message: err.Error()})
		}
	}
	root := reflect.ValueOf(config)
	if root.Kind() != reflect.Pointer { // methods may want a pointer
		pointer := reflect.New(root.Type())
		pointer.Elem().Set(root)
		root = pointer
	}
	walk(root.Elem(), func(key string, v reflect.Value, tag tag) bool {
		if tag.required && blank(v) {
			add(key, errors.New("is missing"))
			return false
		}
		if v.IsZero() && key != "" {
			return false
		}
		if overrides, ok := reflect.TypeAssert[Overrides](v); ok {
			_, err := NewTable(operations, overrides)
			add(key, err)
			return false
		}
		if checker, ok := reflect.TypeAssert[interface{ Check() error }](v.Addr()); ok {
			add(key, checker.Check())
		}
		return true
	})
	return faults
}

// blank tells whether a value was not set. Blanks alone are no text.
func blank(v reflect.Value) bool {
	if v.Kind() == reflect.String {
		return strings.TrimSpace(v.String()) == ""
	}
	if text, ok := reflect.TypeAssert[secret.String](v); ok {
		return strings.TrimSpace(text.Reveal()) == ""
	}
	return v.IsZero()
}

// Field is one key of an adapter's configuration, for whoever reads it.
type Field struct {
	// Key is its name in the block.
	Key string
	// Index finds the struct's field.
	Index int
}

// Fields lists the keys of a struct of a configuration.
func Fields(t reflect.Type) []Field {
	var fields []Field
	for i := range t.NumField() {
		if tag, ok := tagOf(t.Field(i)); ok {
			fields = append(fields, Field{Key: tag.key, Index: i})
		}
	}
	return fields
}

// tag is what a field's `config` tag says.
type tag struct {
	key      string
	required bool
}

func tagOf(field reflect.StructField) (tag, bool) {
	text, ok := field.Tag.Lookup("config")
	key, option, _ := strings.Cut(text, ",")
	return tag{key: key, required: option == "required"}, ok
}

var secretType = reflect.TypeFor[secret.String]()

// readsItself tells whether a type is read from one text by its own method.
func readsItself(t reflect.Type) bool {
	return reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]())
}

// scalar tells whether a value of a type is one text in a configuration.
func scalar(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.String, reflect.Bool, reflect.Int, reflect.Int64:
		return true
	}
	return t == secretType || readsItself(t)
}

// walk visits a configuration's values, each with its key and tag: a struct before its fields, a list before its
// items. visit tells whether to go on below.
func walk(v reflect.Value, visit func(key string, v reflect.Value, t tag) bool) {
	walkTagged("", v, tag{}, visit)
}

func walkTagged(key string, v reflect.Value, t tag, visit func(string, reflect.Value, tag) bool) {
	if v.Kind() == reflect.Pointer && !v.IsNil() {
		v = v.Elem()
	}
	if !visit(key, v, t) || scalar(v.Type()) {
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if t, ok := tagOf(v.Type().Field(i)); ok {
				walkTagged(joinKey(key, t.key), v.Field(i), t, visit)
			}
		}
	case reflect.Slice:
		for i := range v.Len() {
			walkTagged(fmt.Sprintf("%s[%d]", key, i), v.Index(i), tag{}, visit)
		}
	case reflect.Map:
		names := v.MapKeys()
		slices.SortFunc(names, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
		for _, name := range names {
			item := reflect.New(v.Type().Elem()).Elem() // what stands in a map has no address
			item.Set(v.MapIndex(name))
			walkTagged(joinKey(key, plainName(name.String())), item, tag{}, visit)
		}
	}
}

var plainKey = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$`)

// plainName gives a name from the configuration as faults show it: what is no plain word might be a value in the
// wrong place.
func plainName(name string) string {
	if !plainKey.MatchString(name) {
		return "(key)"
	}
	return name
}

func joinKey(key, below string) string {
	if key == "" || below == "" || strings.HasPrefix(below, "[") {
		return key + below
	}
	return key + "." + below
}

// mustBeSettings panics when a struct cannot be an adapter's configuration.
func mustBeSettings[C any]() {
	if problem := badSettings(reflect.TypeFor[C](), map[string]bool{"kind": true}); problem != "" {
		panic("providers: " + problem)
	}
}

// badSettings tells what keeps a type from being read from a configuration. taken are keys that are not the adapter's
// to use.
func badSettings(t reflect.Type, taken map[string]bool) string {
	switch {
	case scalar(t):
		return ""
	case t.Kind() == reflect.Pointer && t.Elem().Kind() == reflect.Struct:
		return badSettings(t.Elem(), nil)
	case t.Kind() == reflect.Slice:
		return badSettings(t.Elem(), nil)
	case t.Kind() == reflect.Map && t.Key().Kind() == reflect.String:
		return badSettings(t.Elem(), nil)
	case t.Kind() != reflect.Struct:
		return "a configuration cannot hold a " + t.String()
	}
	seen := maps.Clone(taken)
	if seen == nil {
		seen = map[string]bool{}
	}
	for field := range t.Fields() {
		tag, ok := tagOf(field)
		switch {
		case !field.IsExported() || !ok || tag.key == "":
			return t.String() + "." + field.Name + " has no key"
		case seen[tag.key]:
			return t.String() + "." + field.Name + " has a key that is taken"
		}
		seen[tag.key] = true
		if problem := badSettings(field.Type, nil); problem != "" {
			return t.String() + "." + field.Name + ": " + problem
		}
	}
	return ""
}

// Values that several adapters' configurations have.

// BaseURL is the address above all operations. It is https, since credentials travel there, except on this machine.
type BaseURL string

// Check tells what is wrong with the address.
func (b BaseURL) Check() error {
	_, err := b.Parse()
	return err
}

// Parse gives the address taken apart.
func (b BaseURL) Parse() (*url.URL, error) {
	u, err := url.Parse(string(b))
	switch {
	case err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "" || u.Opaque != "" ||
		u.User != nil || strings.ContainsAny(string(b), "?#"):
		return nil, errors.New("must be an https address without credentials, query or fragment")
	case strings.ContainsFunc(u.Host, func(r rune) bool { return r > unicode.MaxASCII }):
		return nil, errors.New("must spell its host in ASCII")
	case u.Scheme != "https" && !loopback(u.Hostname()):
		return nil, errors.New("must be https, except on this machine")
	}
	return u, nil
}

// MayShow tells why a customer must not be sent to a page that the provider gave: only plain https leads there unseen
// and unchanged, and a name before the host makes an address look like another one. A provider that is played on this
// machine may have its pages there, too. The error does not quote the address.
func (b BaseURL) MayShow(page string) error {
	u, err := url.Parse(page)
	switch {
	case err != nil || u.Hostname() == "" || u.Opaque != "" || u.User != nil ||
		strings.ContainsFunc(page, func(r rune) bool { return r <= ' ' || r >= unicode.MaxASCII || r == '\\' }):
		return errPage
	case u.Scheme == "https":
		return nil
	}
	base, err := b.Parse()
	if err != nil || u.Scheme != "http" || base.Scheme != "http" || !loopback(u.Hostname()) {
		return errPage
	}
	return nil
}

var errPage = errors.New("a page for the customer is no plain https address")

func loopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.IsLoopback()
}

// HeaderText goes into a header as it is.
type HeaderText string

// Check tells whether the text passes unchanged: printable ASCII without blanks at its ends.
func (h HeaderText) Check() error {
	text := string(h)
	if strings.TrimSpace(text) != text || strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' }) {
		return errors.New("must be plain text, as it goes into a header")
	}
	return nil
}

// Overrides replace methods and paths of operations: "METHOD /path" by the operation's name. NewTable applies them.
type Overrides map[string]string

// File is a file's path. In a configuration one that is not absolute starts at the configuration's folder.
type File string
