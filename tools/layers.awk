# A folder of src/ includes only itself and the folders below it in tools/LAYERS (lowest first; names on
# one line never include each other). Run as: awk -f layers.awk LAYERS src/*/*.c src/*/*.h
FNR == 1  { split(FILENAME, path, "/"); mine = path[2] }
NR == FNR { for (i = 1; i <= NF; i++) rank[$i] = NR; next }
FNR == 1 && !(mine in rank) { printf "%s: %s/ has no place in tools/LAYERS\n", FILENAME, mine; bad = 1 }
/^#include "/ && FILENAME !~ /_(test|fuzz)\.c$/ {
    split($2, part, "[\"/]"); theirs = part[2]
    if (theirs != mine && (!(theirs in rank) || rank[theirs] >= rank[mine])) {
        printf "%s:%d: %s/ may not include %s/\n", FILENAME, FNR, mine, theirs; bad = 1
    }
}
END { exit bad }
