package config

import (
	"encoding"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"

	"kontor.dev/kontor/internal/providers"
	"kontor.dev/kontor/internal/secret"
)

// keyKind is the key of a provider's block that is not its adapter's.
const keyKind = "kind"

// providers reads a tenant's providers, in the order of the file.
func (v value) providers() []Provider {
	var all []Provider
	if v.each(func(id string, v value) {
		if !plainID.MatchString(id) {
			v.problem(badID)
			return
		}
		if p, ok := v.provider(id); ok {
			all = append(all, p)
		}
	}) && len(v.plain().Content) == 0 {
		v.problem("must have at least one provider")
	}
	return all
}

// provider reads one provider's block. What its keys are is its kind's to say.
func (v value) provider(id string) (Provider, bool) {
	p := Provider{ID: id, Kind: id}
	known := true
	v.at(keyKind, func(v value) {
		scalar(&p.Kind, word)(v)
		known = v.known()
	})
	if !known {
		return p, false // What its keys are depends on it.
	}
	for _, kind := range v.parser.options.Kinds {
		if kind.Name == p.Kind {
			p.Settings = kind.Settings()
			v.settings(p.Settings)
			return p, true
		}
	}
	var names []string
	for _, kind := range v.parser.options.Kinds {
		names = append(names, kind.Name)
	}
	all := strings.Join(names, ", ")
	if p.Kind == id {
		v.problem("is no kind of provider, so that it needs a key kind, one of: " + all)
		return p, false
	}
	v.at(keyKind, func(v value) { v.problem("must be one of: " + all) })
	return p, false
}

// settings reads an adapter's configuration, as its struct says, and asks the adapter what it thinks of it.
func (v value) settings(settings providers.Settings) {
	before := len(v.parser.problems)
	v.structure(reflect.ValueOf(settings.Target()).Elem(), fields{keyKind: func(value) {}})
	said := v.parser.problems[before:]
	for _, fault := range settings.Check() {
		at := v.find(fault.Key)
		if !at.overlaps(said) && at.known() {
			at.problem(fault.Message)
		}
	}
}

// overlaps tells whether one of the problems is about a value, something above it, or something in it: then one fault
// is enough.
func (v value) overlaps(problems Problems) bool {
	for _, p := range problems {
		if within(p.Path, v.path) || within(v.path, p.Path) {
			return true
		}
	}
	return false
}

func within(path, above string) bool {
	return path == above || strings.HasPrefix(path, above+".") || strings.HasPrefix(path, above+"[")
}

// find gives what stands at a path below a value. Of what is missing it has the path, and the line of what is there
// above it.
func (v value) find(path string) value {
	for _, key := range strings.FieldsFunc(path, func(r rune) bool { return r == '.' || r == '[' || r == ']' }) {
		next := value{parser: v.parser, node: v.node, path: join(v.path, key)}
		if i, err := strconv.Atoi(key); err == nil && i < len(v.items()) {
			next = value{parser: v.parser, node: v.items()[i], path: fmt.Sprintf("%s[%d]", v.path, i)}
		} else {
			v.at(key, func(found value) { next = found })
		}
		v = next
	}
	return v
}

// structure reads a mapping into a struct of an adapter's configuration, beside other keys that are known.
func (v value) structure(target reflect.Value, known fields) {
	if known == nil {
		known = fields{}
	}
	for _, field := range providers.Fields(target.Type()) {
		known[field.Key] = func(v value) { v.into(target.Field(field.Index)) }
	}
	v.object(known)
}

// longest bounds durations in adapters' configurations, which bound them further.
const longest = 10 * 8760 * time.Hour

// into reads a value of an adapter's configuration, as its type says.
func (v value) into(target reflect.Value) {
	switch target := target.Addr().Interface().(type) {
	case *secret.String:
		hidden(target, secretText)(v)
		return
	case *providers.File:
		if strings.HasSuffix(v.path, "key_file") {
			v.keyFile((*string)(target))
		} else {
			scalar((*string)(target), v.parser.path)(v)
		}
		return
	case *time.Duration:
		scalar(target, duration(0, longest))(v)
		return
	case encoding.TextUnmarshaler:
		if text, ok := v.text(); ok {
			if err := target.UnmarshalText([]byte(text)); err != nil {
				v.problem(err.Error())
			}
		}
		return
	}
	switch target.Kind() {
	case reflect.String:
		if text, ok := v.text(); ok {
			target.SetString(text)
		}
	case reflect.Bool:
		var on bool
		scalar(&on, onOff)(v)
		target.SetBool(on)
	case reflect.Int, reflect.Int64:
		var n int
		scalar(&n, number(-1<<31, 1<<31-1))(v)
		target.SetInt(int64(n))
	case reflect.Pointer:
		target.Set(reflect.New(target.Type().Elem()))
		v.into(target.Elem())
	case reflect.Struct:
		v.structure(target, nil)
	case reflect.Slice:
		v.list(func(v value) {
			item := reflect.New(target.Type().Elem()).Elem()
			v.into(item)
			target.Set(reflect.Append(target, item))
		})
	case reflect.Map:
		target.Set(reflect.MakeMap(target.Type()))
		v.each(func(name string, v value) {
			item := reflect.New(target.Type().Elem()).Elem()
			v.into(item)
			target.SetMapIndex(reflect.ValueOf(name).Convert(target.Type().Key()), item)
		})
	default:
		panic("config: " + target.Type().String() + " cannot be read") // providers.NewKind lets none pass
	}
}
