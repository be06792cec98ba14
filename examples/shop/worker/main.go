// Command worker takes orders from Redis and marks them as processed in PostgreSQL.
package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log"
	"os"
	"os/signal"
	"syscall"
	"time"

	_ "github.com/lib/pq"
	"github.com/redis/go-redis/v9"
)

const (
	queue    = "orders"
	taken    = "orders:taken"
	patience = 30 * time.Second
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if err := run(ctx); err != nil && ctx.Err() == nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context) error {
	databaseURL, redisURL := os.Getenv("DATABASE_URL"), os.Getenv("REDIS_URL")
	if databaseURL == "" || redisURL == "" {
		return errors.New("DATABASE_URL and REDIS_URL must be set")
	}
	options, err := redis.ParseURL(redisURL)
	if err != nil {
		return fmt.Errorf("REDIS_URL: %w", err)
	}
	cache := redis.NewClient(options)
	defer cache.Close()
	db, err := sql.Open("postgres", databaseURL)
	if err != nil {
		return fmt.Errorf("DATABASE_URL: %w", err)
	}
	defer db.Close()
	if err := waitFor(ctx, "the database", db.PingContext); err != nil {
		return err
	}
	if err := waitFor(ctx, "the cache", func(ctx context.Context) error { return cache.Ping(ctx).Err() }); err != nil {
		return err
	}
	log.Print("worker waits for orders")
	return work(ctx, db, cache)
}

// waitFor asks until the first good answer, for as long as patience lasts.
func waitFor(ctx context.Context, name string, ask func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		err := ask(ctx)
		if err == nil {
			return nil
		}
		log.Printf("waiting for %s: %v", name, err)
		if pause(ctx, 500*time.Millisecond) != nil {
			return fmt.Errorf("%s did not answer: %w", name, err)
		}
	}
}

// work processes one order at a time until ctx ends. What is taken stays in a list of its own until it is marked, so
// neither a failure nor a killed worker loses an order.
func work(ctx context.Context, db *sql.DB, cache *redis.Client) error {
	err := putBack(ctx, cache)
	for ctx.Err() == nil {
		if err == nil {
			err = processNext(ctx, db, cache)
		}
		if err != nil && ctx.Err() == nil {
			log.Print(err)
			_ = pause(ctx, time.Second)
			err = putBack(ctx, cache)
		}
	}
	return nil
}

func processNext(ctx context.Context, db *sql.DB, cache *redis.Client) error {
	number, err := cache.BLMove(ctx, queue, taken, "LEFT", "RIGHT", time.Second).Result()
	if errors.Is(err, redis.Nil) {
		return nil
	}
	if err != nil {
		return err
	}
	if _, err := db.ExecContext(ctx, "UPDATE orders SET status = 'processed' WHERE id = $1", number); err != nil {
		return fmt.Errorf("order %s: %w", number, err)
	}
	return cache.LRem(ctx, taken, 1, number).Err()
}

func putBack(ctx context.Context, cache *redis.Client) error {
	for {
		err := cache.LMove(ctx, taken, queue, "RIGHT", "LEFT").Err()
		if errors.Is(err, redis.Nil) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
