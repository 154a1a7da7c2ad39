// The official Go SDK; the arguments are those of python/steps.py.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// withKey shows the key with every request.
type withKey struct{ key string }

func (t withKey) RoundTrip(request *http.Request) (*http.Response, error) {
	request = request.Clone(request.Context())
	request.Header.Set("Authorization", "Bearer "+t.key)
	return http.DefaultTransport.RoundTrip(request)
}

func call(ctx context.Context, session *mcp.ClientSession, tool string, arguments map[string]any) (string, error) {
	result, err := session.CallTool(ctx, &mcp.CallToolParams{Name: tool, Arguments: arguments})
	if err != nil {
		return "", err
	}
	text := result.Content[0].(*mcp.TextContent).Text
	if result.IsError {
		return "", errors.New(text)
	}
	return text, nil
}

func echo(ctx context.Context, session *mcp.ClientSession, text string) error {
	said, err := call(ctx, session, "echo", map[string]any{"text": text})
	if err == nil && said != text {
		err = fmt.Errorf("wrong answer: %s", said)
	}
	return err
}

func tools(ctx context.Context, session *mcp.ClientSession) ([]string, error) {
	list, err := session.ListTools(ctx, nil)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, tool := range list.Tools {
		names = append(names, tool.Name)
	}
	slices.Sort(names)
	return names, nil
}

func calls(ctx context.Context, session *mcp.ClientSession) (any, error) {
	names, err := tools(ctx, session)
	if err != nil {
		return nil, err
	}
	for number := range 30 {
		if err := echo(ctx, session, fmt.Sprintf("n%d", number)); err != nil {
			return nil, err
		}
	}
	errs := make([]error, 10)
	var group sync.WaitGroup
	for number := range errs {
		group.Add(1)
		go func() {
			defer group.Done()
			errs[number] = echo(ctx, session, fmt.Sprintf("p%d", number))
		}()
	}
	group.Wait()
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	revision := session.InitializeResult().ProtocolVersion
	return map[string]any{"tools": names, "revision": revision}, nil
}

func done(ctx context.Context) (any, error) {
	url, key, step, token := os.Args[1], os.Args[2], os.Args[3], os.Args[4]
	client := mcp.NewClient(&mcp.Implementation{Name: "matrix", Version: "1.0.0"}, nil)
	transport := &mcp.StreamableClientTransport{
		Endpoint:   url,
		HTTPClient: &http.Client{Transport: withKey{key}},
	}
	session, err := client.Connect(ctx, transport, nil)
	if err != nil {
		return nil, err
	}
	defer session.Close()
	switch step {
	case "calls":
		return calls(ctx, session)
	case "long":
		seconds, err := strconv.Atoi(os.Getenv("SECONDS"))
		if err != nil {
			return nil, err
		}
		said, err := call(ctx, session, "wait", map[string]any{"seconds": seconds, "token": token})
		return map[string]any{"said": said}, err
	case "cancel":
		short, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		if _, err := call(short, session, "wait", map[string]any{"seconds": 60, "token": token}); err == nil {
			return nil, errors.New("the call was answered")
		}
		said, err := call(ctx, session, "echo", map[string]any{"text": "still here"})
		return map[string]any{"afterwards": said}, err
	default:
		_, err := tools(ctx, session)
		return map[string]any{"connected": true}, err
	}
}

func main() {
	result, err := done(context.Background())
	if err != nil {
		result = map[string]any{"error": err.Error()}
	}
	if err := json.NewEncoder(os.Stdout).Encode(result); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
