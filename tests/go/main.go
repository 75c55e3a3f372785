// Command interop is the other side of the document layout: a Go program that keeps conversations
// as a go-deep-agent service does, with encoding/json and go-redis, or in files.
//
// It answers each line of its input with one line: a request, and what came of it.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// Message is one message. Without tags, its fields are stored under their own names.
type Message struct {
	Role       string
	Content    string
	ToolCalls  []ToolCall
	ToolCallID string
}

// ToolCall is one call of a tool; Arguments is the text of a JSON object.
type ToolCall struct {
	ID        string
	Type      string
	Name      string
	Arguments string
}

// Request is one line of input.
type Request struct {
	Do       string // load, save, add, delete, list
	ID       string
	Messages []Message
}

// Answer is one line of output.
type Answer struct {
	Error    string
	Found    bool
	Messages []Message
	IDs      []string
}

// Store keeps one text for each id.
type Store interface {
	Get(id string) ([]byte, error) // nil if there is none
	Put(id string, messages []Message) error
	Delete(id string) error
	List() ([]string, error)
}

// Redis keeps texts as strings under a prefix, for a time.
type Redis struct {
	client *redis.Client
	prefix string
	ttl    time.Duration
}

func (r Redis) Get(id string) ([]byte, error) {
	text, err := r.client.Get(context.Background(), r.prefix+id).Bytes()
	if errors.Is(err, redis.Nil) {
		return nil, nil
	}
	return text, err
}

func (r Redis) Put(id string, messages []Message) error {
	text, err := json.Marshal(messages)
	if err != nil {
		return err
	}
	return r.client.Set(context.Background(), r.prefix+id, text, r.ttl).Err()
}

func (r Redis) Delete(id string) error {
	return r.client.Del(context.Background(), r.prefix+id).Err()
}

func (r Redis) List() ([]string, error) {
	ids := []string{}
	keys := r.client.Scan(context.Background(), 0, r.prefix+"*", 0).Iterator()
	for keys.Next(context.Background()) {
		ids = append(ids, strings.TrimPrefix(keys.Val(), r.prefix))
	}
	return ids, keys.Err()
}

// Files keeps texts in a directory.
type Files string

func (f Files) path(id string) string { return filepath.Join(string(f), id+".json") }

func (f Files) Get(id string) ([]byte, error) {
	text, err := os.ReadFile(f.path(id))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	return text, err
}

func (f Files) Put(id string, messages []Message) error {
	text, err := json.MarshalIndent(messages, "", "  ")
	if err != nil {
		return err
	}
	temporary := f.path(id) + ".tmp"
	if err := os.WriteFile(temporary, text, 0o644); err != nil {
		return err
	}
	return os.Rename(temporary, f.path(id))
}

func (f Files) Delete(id string) error { return os.Remove(f.path(id)) }

func (f Files) List() ([]string, error) {
	entries, err := os.ReadDir(string(f))
	ids := []string{}
	for _, entry := range entries {
		if name, ours := strings.CutSuffix(entry.Name(), ".json"); ours {
			ids = append(ids, name)
		}
	}
	return ids, err
}

func load(store Store, id string) ([]Message, error) {
	text, err := store.Get(id)
	if err != nil || text == nil {
		return nil, err
	}
	var messages []Message
	err = json.Unmarshal(text, &messages)
	return messages, err
}

func do(store Store, request Request) (answer Answer, err error) {
	switch request.Do {
	case "load":
		answer.Messages, err = load(store, request.ID)
		answer.Found = answer.Messages != nil
	case "save":
		err = store.Put(request.ID, request.Messages)
	case "add": // what an agent does after a turn
		var before []Message
		if before, err = load(store, request.ID); err == nil {
			err = store.Put(request.ID, append(before, request.Messages...))
		}
	case "delete":
		err = store.Delete(request.ID)
	case "list":
		answer.IDs, err = store.List()
	default:
		err = fmt.Errorf("no such request: %q", request.Do)
	}
	return answer, err
}

func main() {
	addr := flag.String("redis", "", "address of a server")
	prefix := flag.String("prefix", "go-deep-agent:memories:", "what keys begin with")
	files := flag.String("files", "", "directory")
	flag.Parse()
	var store Store = Files(*files)
	if *addr != "" {
		client := redis.NewClient(&redis.Options{Addr: *addr})
		defer client.Close()
		store = Redis{client, *prefix, 7 * 24 * time.Hour}
	}
	input := bufio.NewScanner(os.Stdin)
	input.Buffer(nil, 64<<20)
	output := json.NewEncoder(os.Stdout)
	for input.Scan() {
		var request Request
		answer, err := Answer{}, json.Unmarshal(input.Bytes(), &request)
		if err == nil {
			answer, err = do(store, request)
		}
		if err != nil {
			answer.Error = err.Error()
		}
		if err := output.Encode(answer); err != nil {
			os.Exit(1)
		}
	}
}
