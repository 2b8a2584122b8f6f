package redirects

import "testing"

func TestRedirectsOnTheList(t *testing.T) {
	list, err := NewList([]string{
		"https://app.example.com/*", "https://exact.example.com/return", "http://127.0.0.1:3000/*",
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, uri := range []string{
		"https://app.example.com", "https://app.example.com/", "https://app.example.com/done?id=1&x=%2Fy",
		"https://APP.example.com/done",
		"https://app.example.com:443/done", "https://app.example.com/done?a=1;b=2", "https://app.example.com/a/b/", "https://exact.example.com/return?x=1",
		"http://127.0.0.1:3000/x",
	} {
		if !list.Allows(uri) {
			t.Errorf("%s is refused", uri)
		}
	}
}

// Addresses that look allowed to one parser and lead elsewhere with another.
func TestRedirectConfusionsAreRefused(t *testing.T) {
	list, err := NewList([]string{
		"https://app.example.com/*", "https://exact.example.com/return", "https://deep.example.com/app/*",
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, uri := range []string{
		"", "/", "//app.example.com/", "app.example.com", "https:app.example.com", "https:/app.example.com/",
		"https:///app.example.com/",
		"http://app.example.com/", "ftp://app.example.com/", "javascript:alert(1)//app.example.com",
		"data:text/html,app.example.com",
		"https://app.example.com@evil.example/", "https://app.example.com:x@evil.example/",
		"https://user@app.example.com/",
		"https://evil.example/app.example.com", "https://evil.example?app.example.com/",
		"https://evil.example#app.example.com/",
		"https://app.example.com.evil.example/", "https://app.example.com.", "https://app.example.com./",
		"https://xapp.example.com/",
		"https://app.example.com:444/", "https://app.example.com:/", "https://app.example.com%2eevil.example/",
		"https://app.example.com\\@evil.example/", "https://evil.example\\app.example.com/",
		"https:\\\\app.example.com/", "https://app.example.com/\\evil.example",
		"https://app.example.com\t/", "https://app.example.com\n.evil.example/", " https://app.example.com/",
		"https://app.example.com/ ",
		"https://app.example.com\x00.evil.example/", "https://app\u3002example.com/", "https://аpp.example.com/",
		"https://app.example.com/\u202e",
		"https://[::ffff:app.example.com]/", "https://app.example.com/#fragment", "https://app.example.com/..",
		"https://deep.example.com/app/../admin",
		"https://deep.example.com/app/%2e%2e/admin", "https://deep.example.com/app%2fx",
		"https://deep.example.com/application",
		"https://deep.example.com/app//x", "https://deep.example.com//app/x", "https://exact.example.com/return/more",
		"https://exact.example.com/return/",
		"https://exact.example.com/Return", "https://2130706433/", "https://0x7f.1/", "https://017700000001/",
		"https://app.example.com,evil.example/", "https://deep.example.com/app/..;/admin",
		"https://deep.example.com/app/..%3b/admin", "https://deep.example.com/app/..;x=1/admin",
		"https://deep.example.com/app;/../admin", "https://deep.example.com/app/;jsessionid=1",
		"https://exact.example.com/return;x=1",
	} {
		if list.Allows(uri) {
			t.Errorf("%q is allowed", uri)
		}
	}
}

func TestBadRedirectPatterns(t *testing.T) {
	for _, pattern := range []string{
		"*", "https://*", "https://*.example.com/*", "https://app.example.com/*/x", "https://app.example.com/*?x=1",
		"app.example.com", "https://app.example.com/a/../*", "https://app.example.com/a;b/*",
	} {
		if _, err := NewList([]string{pattern}); err == nil {
			t.Errorf("%q was taken", pattern)
		}
	}
}
