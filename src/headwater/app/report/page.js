(function () {
  'use strict';
  var root = document.documentElement;
  var tip = document.querySelector('.tip');
  var button = document.querySelector('button.theme');

  function dark() {
    var set = root.getAttribute('data-theme');
    return set ? set === 'dark' : matchMedia('(prefers-color-scheme: dark)').matches;
  }
  function name() { button.textContent = dark() ? 'Light' : 'Dark'; }
  try {
    var kept = localStorage.getItem('headwater-theme');
    if (kept === 'dark' || kept === 'light') root.setAttribute('data-theme', kept);
  } catch (_) { /* storage may be closed to files */ }
  button.hidden = false;
  name();
  button.addEventListener('click', function () {
    var next = dark() ? 'light' : 'dark';
    root.setAttribute('data-theme', next);
    try { localStorage.setItem('headwater-theme', next); } catch (_) { /* as above */ }
    name();
  });

  function show(lines, x, y) {
    tip.textContent = '';
    lines.forEach(function (line, index) {
      if (!line) return;
      var row = document.createElement(index ? 'span' : 'strong');
      row.textContent = line;
      tip.appendChild(row);
    });
    tip.hidden = false;
    var box = tip.getBoundingClientRect();
    var left = x + 16 + box.width > innerWidth ? x - 16 - box.width : x + 16;
    var top = y + 16 + box.height > innerHeight ? y - 12 - box.height : y + 16;
    tip.style.left = Math.max(4, left) + 'px';
    tip.style.top = Math.max(4, top) + 'px';
  }
  function hide() { tip.hidden = true; }

  var DIGITS = '0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_';
  var STATES = ['quiet', 'notice', 'alarm', 'not delivered', 'backfilled', 'quarantined'];

  document.querySelectorAll('.river').forEach(function (river) {
    var data = JSON.parse(river.parentNode.querySelector('.map-data').textContent);
    var water = river.querySelector('.rows');
    var cursor = river.querySelector('.cursor');
    water.querySelectorAll('rect.hit').forEach(function (hit) { hit.remove(); });
    water.addEventListener('mousemove', function (event) {
      var box = water.getBoundingClientRect();
      var column = Math.floor((event.clientX - box.left) / box.width * data.w.length);
      var y = event.clientY - box.top;
      var row = data.r.findIndex(function (item) { return y >= item.y && y < item.y + item.h; });
      if (row < 0 || column < 0 || column >= data.w.length) { cursor.hidden = true; hide(); return; }
      var item = data.r[row];
      var tenths = DIGITS.indexOf(item.s[column]);
      var state = STATES[+item.t[column]];
      var strength = (tenths / 10).toFixed(1) + (tenths === 63 ? ' or more' : '');
      var text = data.x[row + ':' + column];
      show([item.n, data.w[column] + ' · ' + item.o,
        state === 'not delivered' ? state : state + ', evidence ' + strength + ' × the alarm limit',
        text === undefined ? '' : data.p[text]], event.clientX, event.clientY);
      var outer = river.getBoundingClientRect();
      var step = box.width / data.w.length;
      cursor.hidden = false;
      cursor.style.left = (box.left - outer.left + column * step) + 'px';
      cursor.style.top = (box.top - outer.top + item.y) + 'px';
      cursor.style.width = step + 'px';
      cursor.style.height = item.h + 'px';
    });
    water.addEventListener('mouseleave', function () { cursor.hidden = true; hide(); });
  });

  document.querySelectorAll('.curve').forEach(function (figure) {
    var block = figure.querySelector('.chart-data');
    var plot = figure.querySelector('.plot');
    if (!block || !plot) return;
    var rows = JSON.parse(block.textContent);
    var line = document.createElement('span');
    line.className = 'crosshair';
    line.hidden = true;
    plot.appendChild(line);
    plot.addEventListener('mousemove', function (event) {
      var box = plot.getBoundingClientRect();
      var index = Math.floor((event.clientX - box.left) / box.width * rows.length);
      if (index < 0 || index >= rows.length) return;
      line.hidden = false;
      line.style.left = ((index + 0.5) / rows.length * 100) + '%';
      show(rows[index], event.clientX, event.clientY);
    });
    plot.addEventListener('mouseleave', function () { line.hidden = true; hide(); });
  });

  document.querySelectorAll('code.command').forEach(function (code) {
    if (!navigator.clipboard) return;
    code.title = 'Click to copy';
    code.addEventListener('click', function () {
      if (String(getSelection())) return;
      navigator.clipboard.writeText(code.textContent).then(function () {
        code.classList.add('copied');
        setTimeout(function () { code.classList.remove('copied'); }, 900);
      }, function () { /* not allowed here: the text can still be selected */ });
    });
  });
})();
