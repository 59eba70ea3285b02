// Command oracle answers conditions with the real expr-lang/expr, so that the Python engine has something to be compared with.
//
// It reads JSON lines {"expression": ..., "result": ...} and writes the same lines with what Go says: "value" and "type",
// or "error" (its first line) and "stage" ("compile" or "run"). Numbers in "result" become float64, as any JSON answer
// of a metric provider does. Values that JSON has no word for are tagged: {"$float": "NaN"}, {"$time": ...}, {"$duration": ...}.
//
// Its own answers are valid questions, so a new row is a line with "expression" and "result" at the end of answers.jsonl and
//
//	go run . < ../answers.jsonl > /tmp/answers.jsonl && mv /tmp/answers.jsonl ../answers.jsonl
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/expr-lang/expr"
)

type question struct {
	Expression string `json:"expression"`
	Result     any    `json:"result"`
}

type answer struct {
	Expression string `json:"expression"`
	Result     any    `json:"result"`
	Value      any    `json:"value,omitempty"`
	Type       string `json:"type,omitempty"`
	Error      string `json:"error,omitempty"`
	Stage      string `json:"stage,omitempty"`
}

func main() {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(make([]byte, 1<<20), 1<<24)
	out := json.NewEncoder(os.Stdout)
	out.SetEscapeHTML(false)
	for lines.Scan() {
		if strings.TrimSpace(lines.Text()) == "" {
			continue
		}
		var asked question
		if err := json.Unmarshal(lines.Bytes(), &asked); err != nil {
			panic(fmt.Errorf("%s: %w", lines.Text(), err))
		}
		if err := out.Encode(answered(asked)); err != nil {
			panic(err)
		}
	}
}

func answered(asked question) answer {
	given := answer{Expression: asked.Expression, Result: asked.Result}
	environment := environmentOf(untagged(asked.Result))
	program, err := expr.Compile(asked.Expression, expr.Env(environment))
	if err != nil {
		given.Error, given.Stage = firstLine(err), "compile"
		return given
	}
	value, err := expr.Run(program, environment)
	if err != nil {
		given.Error, given.Stage = firstLine(err), "run"
		return given
	}
	given.Value, given.Type = tagged(value), fmt.Sprintf("%T", value)
	return given
}

// environmentOf holds the seven names a condition may use (argo-behaviour.md 7.6).
func environmentOf(result any) map[string]any {
	return map[string]any{
		"result":  result,
		"asInt":   asInt,
		"asFloat": asFloat,
		"isNaN":   math.IsNaN,
		"isInf":   func(value float64) bool { return math.IsInf(value, 0) },
		"isNil":   func(any) bool { return result == nil },
		"default": func(_, fallback any) any {
			if result == nil {
				return fallback
			}
			return result
		},
	}
}

func asInt(in any) int64 {
	if text, ok := in.(string); ok {
		number, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			panic(err)
		}
		return number
	}
	number := reflect.ValueOf(in)
	switch {
	case number.IsValid() && number.CanInt():
		return number.Int()
	case number.IsValid() && number.CanFloat():
		return int64(number.Float())
	}
	panic(fmt.Sprintf("asInt() not supported on %v %v", reflect.TypeOf(in), in))
}

func asFloat(in any) float64 {
	if text, ok := in.(string); ok {
		number, err := strconv.ParseFloat(text, 64)
		if err != nil {
			panic(err)
		}
		return number
	}
	number := reflect.ValueOf(in)
	switch {
	case number.IsValid() && number.CanInt():
		return float64(number.Int())
	case number.IsValid() && number.CanFloat():
		return number.Float()
	}
	panic(fmt.Sprintf("asFloat() not supported on %v %v", reflect.TypeOf(in), in))
}

func firstLine(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return line
}

// untagged turns {"$float": "+Inf"} into the number it names.
func untagged(value any) any {
	switch value := value.(type) {
	case map[string]any:
		if text, ok := value["$float"].(string); ok {
			number, err := strconv.ParseFloat(text, 64)
			if err != nil {
				panic(err)
			}
			return number
		}
		copied := make(map[string]any, len(value)) // the question is echoed, so it must stay as it was
		for key, inner := range value {
			copied[key] = untagged(inner)
		}
		return copied
	case []any:
		copied := make([]any, len(value))
		for i, inner := range value {
			copied[i] = untagged(inner)
		}
		return copied
	}
	return value
}

func tagged(value any) any {
	switch value := value.(type) {
	case nil:
		return json.RawMessage("null")
	case float64:
		if math.IsNaN(value) || math.IsInf(value, 0) {
			return map[string]any{"$float": strconv.FormatFloat(value, 'g', -1, 64)}
		}
		return value
	case time.Time:
		return map[string]any{"$time": value.Format(time.RFC3339Nano)}
	case time.Duration:
		return map[string]any{"$duration": value.String()}
	case []byte:
		return map[string]any{"$bytes": string(value)}
	}
	seen := reflect.ValueOf(value)
	switch seen.Kind() {
	case reflect.Slice, reflect.Array:
		list := make([]any, seen.Len())
		for i := range list {
			list[i] = tagged(seen.Index(i).Interface())
		}
		return list
	case reflect.Map:
		named := map[string]any{}
		for _, key := range seen.MapKeys() {
			named[fmt.Sprint(key.Interface())] = tagged(seen.MapIndex(key).Interface())
		}
		return named
	case reflect.Func, reflect.Ptr, reflect.Struct:
		return map[string]any{"$opaque": fmt.Sprintf("%T", value)}
	}
	return value
}
