#!/bin/sh
# Put the image's files together: assemble.sh SYSTEM PREFIX X.Y TO
# SYSTEM: root of a Debian system, "" for this one; PREFIX: of the interpreter X.Y; TO: new folder.
set -eu
system=$1 prefix=$2 python=python$3 to=$4

mkdir -p "$to/usr/share" "$to/etc" "$to/opt/box" "$to/opt/python/bin" "$to/opt/python/lib" \
  "$to/box" "$to/tmp" "$to/dev" "$to/proc" "$to/sys"
cp -a "$system/usr/bin" "$system/usr/lib" "$to/usr/"
cp -a "$system/usr/share/zoneinfo" "$to/usr/share/"
[ ! -d "$system/usr/lib64" ] || cp -a "$system/usr/lib64" "$to/usr/"
for link in bin lib lib64; do
  [ ! -L "$system/$link" ] || cp -a "$system/$link" "$to/$link"
done
# Debian's link leads over /etc/alternatives: to nothing in the image, and to this machine's here.
[ -x "$to/usr/bin/mawk" ] || { echo "no mawk in ${system:-this system}" >&2; exit 1; }
ln -sf mawk "$to/usr/bin/awk"
rm -rf "$to/usr/lib/apt" "$to/usr/lib/dpkg" "$to/usr/lib/systemd" "$to/usr/lib/python3" \
  "$to"/usr/lib/python3.* "$to"/usr/bin/python3* "$to"/usr/bin/apt* "$to"/usr/bin/dpkg*
find "$to/usr" -type f -perm /6000 -exec chmod a-s {} +

# The interpreter, without packages, tests and static libraries. Its byte code comes along or is
# made here: the root is read-only later, and each start would compile it again.
cp -aL "$prefix/bin/$python" "$to/opt/python/bin/$python"
ln -s "$python" "$to/opt/python/bin/python3"
ln -s "$python" "$to/opt/python/bin/python"
for library in "$prefix"/lib/libpython*.so*; do
  [ ! -e "$library" ] || cp -a "$library" "$to/opt/python/lib/"
done
(cd "$prefix/lib" && tar -c --exclude="$python/site-packages" --exclude="$python/dist-packages" \
  --exclude="$python/test" --exclude="$python/config-*" --exclude="$python/idlelib" \
  --exclude="$python/ensurepip" --exclude="$python/lib2to3/tests" --exclude=__pycache__ \
  "$python") | tar -x -C "$to/opt/python/lib"
mkdir "$to/opt/python/lib/$python/site-packages"
LD_LIBRARY_PATH="$prefix/lib" "$prefix/bin/$python" -I -m compileall -q -s "$to" -p / \
  --invalidation-mode unchecked-hash "$to/opt/python/lib/$python"

cp -aL "$system/etc/ld.so.conf.d" "$to/etc/"
printf 'include /etc/ld.so.conf.d/*.conf\n/opt/python/lib\n' >"$to/etc/ld.so.conf"
ldconfig -r "$to"
printf 'box:x:65534:65534::/box:/bin/false\n' >"$to/etc/passwd"
printf 'box:x:65534:\n' >"$to/etc/group"
printf '127.0.0.1 localhost box\n::1 localhost box\n' >"$to/etc/hosts"
chmod 755 "$to" "$to/opt" "$to/opt/box" "$to/opt/python" "$to/etc" "$to/usr"
chown -R 0:0 "$to/opt"
