package documents

import (
	"strings"
	"testing"
)

func TestPDFsAreToldByTheirHeader(t *testing.T) {
	t.Parallel()
	for document, want := range map[string]bool{
		"%PDF-1.7\n%%EOF":                      true,
		strings.Repeat(" ", 1019) + "%PDF-1.7": true,
		strings.Repeat(" ", 1020) + "%PDF-1.7": false,
		"%PDF":                                 false,
		"PDF-1.7":                              false,
		"<html>%pdf-1.7":                       false,
		"\x89PNG\r\n\x1a\n":                    false,
		"":                                     false,
	} {
		if got := isPDF([]byte(document)); got != want {
			t.Errorf("%.20q: %t", document, got)
		}
	}
}
