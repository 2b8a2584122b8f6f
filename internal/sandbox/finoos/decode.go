package finoos

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"reflect"
	"strings"
)

// decode reads a JSON object into target more strictly than encoding/json does: member names count with their case, an
// unknown or repeated member is refused, a number is never taken from a string, and members tagged `need` must be
// there:
//
//	need:"value"  present and not null
//	need:"text"   a string that is not empty
//	need:"url"    an absolute http or https URL
//
// The documentation asks for no Content-Type (one of its own examples sends none), so none is asked for.
func decode(r *http.Request, target any) *apiError {
	data, err := io.ReadAll(r.Body)
	if err != nil {
		return badRequest("the body could not be read")
	}
	tokens := json.NewDecoder(bytes.NewReader(data))
	tokens.UseNumber()
	if err := checkShape(tokens, reflect.TypeOf(target).Elem(), ""); err != nil {
		return badRequest(err.Error())
	}
	if err := json.Unmarshal(data, target); err != nil { // which also refuses what stands behind the object
		return badRequest("the body is not one JSON object, or a value has a wrong type")
	}
	return needed(reflect.ValueOf(target).Elem())
}

var (
	numberType      = reflect.TypeFor[json.Number]()
	errShape        = errors.New("the body is not one JSON object")
	errNumberWanted = errors.New("a number is wanted")
)

// checkShape walks one JSON value beside the type it is meant for; path names the place in errors.
func checkShape(tokens *json.Decoder, t reflect.Type, path string) error {
	token, err := tokens.Token()
	if err != nil {
		return errShape
	}
	if token == nil && path != "" {
		return nil
	}
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	wrong := errors.New("wrong type: " + path)
	switch {
	case t == numberType:
		if _, ok := token.(json.Number); !ok {
			return errors.New(errNumberWanted.Error() + ": " + path)
		}
	case t.Kind() == reflect.Struct:
		if token != json.Delim('{') {
			if path == "" {
				return errShape
			}
			return wrong
		}
		return checkMembers(tokens, t, path)
	case t.Kind() == reflect.Slice:
		if token != json.Delim('[') {
			return wrong
		}
		for tokens.More() {
			if err := checkShape(tokens, t.Elem(), path+"[]"); err != nil {
				return err
			}
		}
		_, err := tokens.Token()
		return err
	default:
		if _, nested := token.(json.Delim); nested {
			return wrong
		}
	}
	return nil
}

func checkMembers(tokens *json.Decoder, t reflect.Type, path string) error {
	seen := map[string]bool{}
	for tokens.More() {
		token, err := tokens.Token()
		if err != nil {
			return errShape
		}
		name, _ := token.(string)
		place := strings.TrimPrefix(path+"."+name, ".")
		member, known := memberNamed(t, name)
		if !known {
			return errors.New("unknown member: " + place)
		}
		if seen[name] {
			return errors.New("member given twice: " + place)
		}
		seen[name] = true
		if err := checkShape(tokens, member.Type, place); err != nil {
			return err
		}
	}
	if _, err := tokens.Token(); err != nil {
		return errShape
	}
	return nil
}

func memberNamed(t reflect.Type, name string) (reflect.StructField, bool) {
	for field := range t.Fields() {
		if memberName(field) == name {
			return field, true
		}
	}
	return reflect.StructField{}, false
}

func memberName(field reflect.StructField) string {
	name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
	return name
}

// needed checks the `need` tags of a request struct; they stand on its top level only.
func needed(request reflect.Value) *apiError {
	for field, value := range request.Fields() {
		name := memberName(field)
		switch field.Tag.Get("need") {
		case "value":
			if value.IsNil() {
				return badRequest(name + " is required")
			}
		case "text":
			if value.String() == "" {
				return badRequest(name + " is required")
			}
		case "url":
			if value.String() == "" {
				return badRequest(name + " is required")
			}
			if !absoluteURL(value.String()) {
				return badRequest(name + " is not an absolute http or https URL")
			}
		}
	}
	return nil
}

func absoluteURL(text string) bool {
	u, err := url.Parse(text)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Hostname() != "" && u.User == nil
}

// withQuery adds parameters behind the query that a URL already has, which stays as it is.
func withQuery(text, added string) string {
	u, err := url.Parse(text)
	if err != nil { // accepted URLs parse
		return text
	}
	if u.RawQuery != "" {
		added = u.RawQuery + "&" + added
	}
	u.RawQuery = added
	return u.String()
}

// userIP checks the end user's address, which PSD2 makes mandatory.
func userIP(r *http.Request) *apiError {
	text := r.Header.Get("User-IP")
	if text == "" {
		return badRequest("User-IP is required")
	}
	if _, err := netip.ParseAddr(text); err != nil {
		return badRequest("User-IP is not an IP address")
	}
	return nil
}

// queryFlag reads a query parameter that must be "true" or "false".
func queryFlag(r *http.Request, name string) (bool, *apiError) {
	switch r.URL.Query().Get(name) {
	case "true":
		return true, nil
	case "false":
		return false, nil
	case "":
		return false, badRequest(name + " is required")
	}
	return false, badRequest(name + ` must be "true" or "false"`)
}
