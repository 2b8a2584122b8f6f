package upstream

import (
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"golang.org/x/net/http/httpguts"

	"kontor.dev/kontor/internal/providers"
)

// route is an operation whose path was taken apart once, for all its requests.
type route struct {
	op providers.Operation
	// texts and names take turns, beginning and ending with a text: the escaped path from the root on, and the
	// {parameters} in it.
	texts, names []string
}

var parameter = regexp.MustCompile(`\{[a-zA-Z]+\}`)

// newRoutes takes the paths of a table apart, below a base URL.
func newRoutes(base *url.URL, table providers.Table) map[string]*route {
	routes := make(map[string]*route, len(table))
	for name, op := range table {
		r := &route{op: op}
		path, from := strings.TrimRight(base.EscapedPath(), "/")+op.Path, 0
		for _, at := range parameter.FindAllStringIndex(path, -1) {
			r.texts, r.names = append(r.texts, path[from:at[0]]), append(r.names, path[at[0]+1:at[1]-1])
			from = at[1]
		}
		r.texts = append(r.texts, path[from:])
		routes[name] = r
	}
	return routes
}

// target gives the URL for values of the parameters. Bad is the parameter whose value is no segment of a path.
func (r *route) target(base *url.URL, values map[string]string) (target *url.URL, bad string, err error) {
	var raw strings.Builder
	for i, name := range r.names {
		value := values[name]
		if value == "" || value == "." || value == ".." {
			return nil, name, nil
		}
		raw.WriteString(r.texts[i])
		raw.WriteString(url.PathEscape(value))
	}
	raw.WriteString(r.texts[len(r.names)])
	made := *base
	made.RawPath = raw.String()
	made.Path, err = url.PathUnescape(made.RawPath)
	return &made, "", err
}

// newHeader gives what every request has. Name is of a header that no request can carry.
func newHeader(own http.Header) (header http.Header, name string) {
	header = http.Header{
		"Accept": {"application/json"}, "Accept-Encoding": {"gzip"}, "User-Agent": {"kontor"},
	}
	name = addHeader(header, own)
	return header, name
}

// addHeader adds headers, in place of those of the same name. Name is of one that no request can carry.
func addHeader(to, more http.Header) (name string) {
	for name, values := range more {
		if !httpguts.ValidHeaderFieldName(name) || !validValues(values) {
			return name
		}
		to[http.CanonicalHeaderKey(name)] = values
	}
	return ""
}

// headerOf gives the header of one attempt.
func (c *Client) headerOf(x *exchange) http.Header {
	header := maps.Clone(c.header)
	maps.Copy(header, x.header)
	return header
}

func validHeaders(header http.Header) bool {
	for _, values := range header {
		if !validValues(values) {
			return false
		}
	}
	return true
}

func validValues(values []string) bool {
	for _, value := range values {
		if !httpguts.ValidHeaderFieldValue(value) {
			return false
		}
	}
	return true
}

// longestID is the length of the longest request id that is taken over from a caller or a provider.
const longestID = 128

// plainID tells whether an id may stand in headers and logs.
func plainID(id string) bool {
	if id == "" || len(id) > longestID {
		return false
	}
	for i := range len(id) {
		switch b := id[i]; {
		case b >= 'a' && b <= 'z', b >= 'A' && b <= 'Z', b >= '0' && b <= '9', strings.IndexByte("._:/+=@~-", b) >= 0:
		default:
			return false
		}
	}
	return true
}
