package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/redis/go-redis/v9"
	svix "github.com/svix/svix-webhooks/go"
)

// serveHello is the floor: Echo that answers and does nothing else.
func serveHello(ctx context.Context, address, _ string) error {
	e := echo.New()
	e.POST(webhookPath, func(c echo.Context) error { return c.JSON(http.StatusOK, map[string]string{"status": "hello"}) })
	return serve(ctx, e, address)
}

// serveHandwritten is what people write: verify, SET NX to know a repeat, XADD. It logs nothing, counts nothing, keeps no
// index, and loses an event where it ends between its two commands.
func serveHandwritten(ctx context.Context, address, redisAddress string) error {
	webhook, err := svix.NewWebhook(secret)
	if err != nil {
		return fmt.Errorf("handwritten: %w", err)
	}
	rdb := redis.NewClient(&redis.Options{Addr: redisAddress, PoolSize: 64})
	defer rdb.Close()
	e := echo.New()
	e.POST(webhookPath, func(c echo.Context) error {
		body, err := io.ReadAll(c.Request().Body)
		if err != nil {
			return c.NoContent(http.StatusBadRequest)
		}
		if err := webhook.Verify(body, c.Request().Header); err != nil {
			return c.NoContent(http.StatusUnauthorized)
		}
		id := c.Request().Header.Get("svix-id")
		isNew, err := rdb.SetNX(c.Request().Context(), "seen:"+id, 1, 30*24*time.Hour).Result()
		if err != nil {
			return c.NoContent(http.StatusServiceUnavailable)
		}
		if !isNew {
			return c.JSON(http.StatusOK, map[string]string{"status": "duplicate"})
		}
		entry, err := rdb.XAdd(c.Request().Context(), &redis.XAddArgs{Stream: "log", Values: []any{"id", id, "body", body}}).Result()
		if err != nil {
			return c.NoContent(http.StatusServiceUnavailable)
		}
		return c.JSON(http.StatusAccepted, map[string]string{"status": "queued", "id": entry})
	})
	return serve(ctx, e, address)
}

func serve(ctx context.Context, e *echo.Echo, address string) error {
	e.HideBanner, e.HidePort = true, true
	context.AfterFunc(ctx, func() { _ = e.Close() })
	if err := e.Start(address); ctx.Err() == nil {
		return fmt.Errorf("serve: %w", err)
	}
	return nil
}
