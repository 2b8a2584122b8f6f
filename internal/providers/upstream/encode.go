package upstream

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/url"
	"reflect"
	"strings"
)

// Encoder writes the body of a request.
type Encoder interface {
	// Encode gives the body's bytes and their media type.
	Encode(body any) (text []byte, mediaType string, err error)
}

// The encoders that there are.
var (
	// JSON writes what encoding/json does, without escaping for HTML. It is what requests have when nothing is said.
	JSON Encoder = jsonEncoder{}
	// Form writes application/x-www-form-urlencoded, in the order of the keys. A body is url.Values, or a struct
	// whose fields say their keys in a tag such as `form:"grant_type"`; `form:"scope,omitempty"` leaves an empty
	// field out. A field is a text, a bool, a whole number, a list of these, or a pointer to one, which is left out
	// when nil.
	Form Encoder = formEncoder{}
)

type jsonEncoder struct{}

// Encode implements Encoder.
func (jsonEncoder) Encode(body any) ([]byte, string, error) {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(body); err != nil {
		return nil, "", err
	}
	return bytes.TrimSuffix(text.Bytes(), []byte("\n")), "application/json", nil
}

type formEncoder struct{}

// Encode implements Encoder.
func (formEncoder) Encode(body any) ([]byte, string, error) {
	values, ok := body.(url.Values)
	if !ok {
		var err error
		if values, err = formValues(body); err != nil {
			return nil, "", err
		}
	}
	return []byte(values.Encode()), "application/x-www-form-urlencoded", nil
}

func formValues(body any) (url.Values, error) {
	v := reflect.Indirect(reflect.ValueOf(body))
	if v.Kind() != reflect.Struct {
		return nil, fmt.Errorf("%T is no form", body)
	}
	values := url.Values{}
	for i := range v.NumField() {
		key, option, _ := strings.Cut(v.Type().Field(i).Tag.Get("form"), ",")
		if key == "" {
			return nil, fmt.Errorf("%T.%s has no key", body, v.Type().Field(i).Name)
		}
		if option == "omitempty" && v.Field(i).IsZero() {
			continue
		}
		if err := addFormValue(values, key, v.Field(i)); err != nil {
			return nil, fmt.Errorf("%T.%s: %w", body, v.Type().Field(i).Name, err)
		}
	}
	return values, nil
}

func addFormValue(values url.Values, key string, v reflect.Value) error {
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return nil
		}
		return addFormValue(values, key, v.Elem())
	case reflect.Slice:
		for i := range v.Len() {
			if err := addFormValue(values, key, v.Index(i)); err != nil {
				return err
			}
		}
		return nil
	case reflect.String:
		values.Add(key, v.String())
		return nil
	case reflect.Bool, reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		values.Add(key, fmt.Sprint(v.Interface()))
		return nil
	}
	return fmt.Errorf("a form cannot hold a %s", v.Type())
}
