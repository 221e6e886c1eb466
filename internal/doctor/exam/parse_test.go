package exam

import (
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestLimits(t *testing.T) {
	const text = "Limit                     Soft Limit           Hard Limit           Units     \n" +
		"Max locked memory         8388608              unlimited            bytes     \n" +
		"Max open files            1024                 20000                files     \n" +
		"Max realtime priority     0                    49                   \n"
	for name, want := range map[string]uint64{"Max open files": 20000, "Max locked memory": 0, "Max realtime priority": 49, "Max nothing": 0} {
		if got := hardLimit(text, name); got != want {
			t.Errorf("%s: %d, want %d", name, got, want)
		}
	}
}

func TestSocketsOfAPort(t *testing.T) {
	const table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n" +
		"   0: 00000000:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 111 1 0 100 0 0 10 0\n" +
		"   1: 0100007F:0050 0100007F:9999 01 00000000:00000000 00:00000000 00000000     0        0 222 1 0 100 0 0 10 0\n" +
		"   2: 00000000:1050 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 333 1 0 100 0 0 10 0\n" +
		"   3: short\n"
	if got := inodes(table, 80, false); !slices.Equal(got, []string{"111"}) {
		t.Errorf("of TCP: %v", got)
	}
	if got := inodes(table, 80, true); !slices.Equal(got, []string{"111", "222"}) {
		t.Errorf("of UDP: %v", got)
	}
}

func TestLimitsOfGroups(t *testing.T) {
	root := t.TempDir()
	dir := filepath.Join(root, "a.slice", "b.service")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for path, text := range map[string]string{
		filepath.Join(dir, "memory.max"): "max\n", filepath.Join(root, "a.slice", "memory.max"): "1000\n", filepath.Join(dir, "pids.max"): "7\n",
		filepath.Join(dir, "cpu.max"): "max 100000\n", filepath.Join(root, "a.slice", "cpu.max"): "50000 100000\n",
	} {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	group := groupOf("12:cpu:/x\n0::/a.slice/b.service\n")
	if memory, tasks, cpu := least(root, group, "memory.max"), least(root, group, "pids.max"), quota(root, group); memory != 1000 || tasks != 7 || cpu != 0.5 {
		t.Errorf("memory %d, tasks %d, CPUs %v", memory, tasks, cpu)
	}
	if memory, cpu := least(root, "/", "memory.max"), quota(root, "/"); memory != 0 || cpu != 0 {
		t.Errorf("without limits: memory %d, CPUs %v", memory, cpu)
	}
}

func TestKeepConfiguration(t *testing.T) {
	for text, want := range map[string]bool{
		"": false, "[Network]\nKeepConfiguration=yes\n": true, "[Network]\n KeepConfiguration = yes": true, "# KeepConfiguration=yes": false,
		"KeepConfiguration=static": false, "KeepConfiguration=yes\nKeepConfiguration=no": false, "KeepConfiguration=True ": true,
	} {
		if got := keepsAll(text); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
}

func TestFolder(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if f := folder("it", filepath.Join(dir, "not", "yet")); f.Error != "" {
		t.Errorf("one that would be made: %s", f.Error)
	}
	if f := folder("it", file); f.Error == "" {
		t.Error("a file is taken for a folder")
	}
}

// FuzzProc reads what other programs and the kernel write.
func FuzzProc(f *testing.F) {
	f.Add("Max open files 1 2 files\n0::/x\nKeepConfiguration=yes\nCapEff:\tff\n   0: 00000000:0050 0 0A 0 0 0 0 0 1\n")
	f.Add("0::/../..\nMax open files")
	f.Fuzz(func(t *testing.T, text string) {
		hardLimit(text, "Max open files")
		field(text, "CapEff")
		keepsAll(text)
		inodes(text, 80, false)
		for _, dir := range above("/root", groupOf(text)) {
			if rel, err := filepath.Rel("/root", dir); err != nil || !filepath.IsLocal(rel) {
				t.Fatalf("%q leads to %q", text, dir)
			}
		}
		if math.IsInf(quota("/nowhere", "/"), 0) {
			t.Error("an endless quota")
		}
	})
}
