package source

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestExcerpt(t *testing.T) {
	long := strings.Repeat("0123456789", 20)
	tests := []struct {
		name  string
		src   string
		place Place
		want  string
	}{
		{"in the middle", "a: bcd e", Place{1, 4, 3}, "   1 | a: bcd e\n     |    ^^^"},
		{"behind the end", "abc", Place{1, 4, 1}, "   1 | abc\n     |    ^"},
		{"an empty line", "", Place{1, 1, 1}, "   1 | \n     | ^"},
		{"no such line", "abc", Place{7, 3, 1}, "   7 | \n     | ^"},
		{"longer than the line", "abc", Place{1, 2, 9}, "   1 | abc\n     |  ^^"},
		{"behind a tab", "a:\tb", Place{1, 4, 1}, "   1 | a:\tb\n     |   \t^"},
		{"behind wide characters", "名前: x", Place{1, 5, 1}, "   1 | 名前: x\n     |       ^"},
		{"on wide characters", "a: 名前", Place{1, 4, 2}, "   1 | a: 名前\n     |    ^^^^"},
		{"behind a combining accent", "e\u0301: x", Place{1, 5, 1}, "   1 | e\u0301: x\n     |    ^"},
		{"on a combining accent alone", "\u05a5", Place{1, 1, 1}, "   1 | \u05a5\n     | ^"},
		{"behind an emoji", "🚀: x", Place{1, 4, 1}, "   1 | 🚀: x\n     |     ^"},
		{"hidden and terminal control characters", "a\u202eb\u00a0\x1b[2Jx", Place{1, 9, 1}, "   1 | a\ufffdb\ufffd\ufffd[2Jx\n     |         ^"},
		{"the beginning of a long line", long, Place{1, 1, 2}, "   1 | " + long[:120] + "…\n     | ^^"},
		{"the middle of a long line", long, Place{1, 71, 1}, "   1 | …" + long[10:130] + "…\n     |  " + strings.Repeat(" ", 60) + "^"},
		{"the end of a long line", long, Place{1, 200, 1}, "   1 | …" + long[80:] + "\n     |  " + strings.Repeat(" ", 119) + "^"},
		{"a later line", "a\nb\nc", Place{3, 1, 1}, "   3 | c\n     | ^"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := New("x.yaml", []byte(tt.src)).excerpt(tt.place)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("excerpt (-want +got):\n%s", diff)
			}
		})
	}
}
