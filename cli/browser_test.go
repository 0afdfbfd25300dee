package cli

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"seamtag/internal/parts"
)

const testToken = "an-admin-token-for-tests"

// browser is a tab on the page of a stack.
type browser struct {
	*stack

	tab context.Context
}

func newBrowser(t *testing.T, s *stack) *browser {
	t.Helper()
	return &browser{stack: s, tab: parts.Chromium(t)}
}

func (b *browser) do(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.tab, patience)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		b.t.Fatalf("browser: %v", err)
	}
}

func (b *browser) open(path string) {
	b.t.Helper()
	b.do(chromedp.Navigate(b.url + path))
}

// eval evaluates an expression in the page.
func eval[T any](b *browser, expression string) T {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.tab, patience)
	defer cancel()
	value, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		b.t.Fatalf("browser: %s: %v", expression, err)
	}
	return value
}

func (b *browser) text() string {
	b.t.Helper()
	return eval[string](b, `document.body.innerText`)
}

func (b *browser) awaitText(text string) {
	b.t.Helper()
	b.await(fmt.Sprintf("the page shows %q", text), func() bool { return strings.Contains(b.text(), text) })
}

// press clicks what bears the text and waits for the page it leads to. Live parts can be replaced at any time, so both are
// one step.
func (b *browser) press(text string) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.tab, patience)
	defer cancel()
	click := chromedp.Func(func(ctx context.Context, tab *chromedp.Target) error {
		found, err := chromedp.Evaluate[bool](fmt.Sprintf(`(() => {
			const all = [...document.querySelectorAll("main a, main button, header a, header button")];
			const it = all.find((e) => e.textContent.trim().startsWith(%q));
			it?.click();
			return Boolean(it);
		})()`, text))(ctx, tab)
		if err == nil && !found {
			err = fmt.Errorf("nothing to press says %q", text)
		}
		return err
	})
	if _, err := chromedp.RunResponse(ctx, click); err != nil {
		b.t.Fatalf("press %q: %v\n%s", text, err, b.text())
	}
}

func (b *browser) fill(id, text string) {
	b.t.Helper()
	b.do(chromedp.SetValue(chromedp.ID(id), text))
}

func (b *browser) signIn() {
	b.t.Helper()
	b.open("/login")
	b.fill("token", testToken)
	b.press("Sign in")
}

func (b *browser) path() string {
	b.t.Helper()
	return eval[string](b, `location.pathname + location.search`)
}
