package parts

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// Chromium starts a headless browser with a profile of its own and ends it with the test. Contexts made from the one it
// returns, by chromedp.NewContext, are tabs of that browser.
func Chromium(tb testing.TB, options ...chromedp.ExecAllocatorOption) context.Context {
	tb.Helper()
	profile, err := os.MkdirTemp("", "seamtag-chromium-") //nolint:usetesting // its last files come late: no failure of the test
	if err != nil {
		tb.Fatalf("make a profile: %v", err)
	}
	flags := []chromedp.ExecAllocatorOption{
		chromedp.ExecPath(lookPath(tb, "chromium")), chromedp.UserDataDir(profile), chromedp.Headless, chromedp.NoSandbox,
		chromedp.DisableGPU, chromedp.NoFirstRun, chromedp.NoDefaultBrowserCheck, chromedp.WindowSize(1280, 900),
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-background-networking", true), chromedp.Flag("disable-sync", true),
		chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-dev-shm-usage", true),
		chromedp.WSURLReadTimeout(time.Minute), // a busy machine starts it slowly
	}
	allocator, end := chromedp.NewExecAllocator(context.WithoutCancel(tb.Context()), append(flags, options...)...)
	browser, closeBrowser := chromedp.NewContext(allocator)
	tb.Cleanup(func() {
		_ = chromedp.Cancel(browser) // waits until it has ended
		closeBrowser()
		end()
		_ = os.RemoveAll(profile)
	})
	if err := chromedp.Do(browser); err != nil {
		tb.Fatalf("start chromium: %v", err)
	}
	return browser
}
