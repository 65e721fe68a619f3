'use strict';
// "/" goes to the search box.
document.addEventListener('keydown', function (event) {
  var box = document.querySelector('[data-search]');
  if (event.key !== '/' || !box || event.ctrlKey || event.metaKey || event.altKey) { return; }
  if (/^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName)) { return; }
  event.preventDefault();
  box.focus();
  box.select();
});
// A list of states becomes a slider over them; the list stays and says which one is chosen.
document.querySelectorAll('form[data-slider]').forEach(function (form) {
  var list = form.querySelector('select');
  var slider = document.createElement('input');
  slider.type = 'range';
  slider.min = '0';
  slider.max = String(list.options.length - 1);
  slider.value = String(list.selectedIndex);
  slider.setAttribute('aria-label', 'As known when, from the oldest to now');
  function say() { slider.setAttribute('aria-valuetext', list.options[list.selectedIndex].text); }
  slider.addEventListener('input', function () { list.selectedIndex = Number(slider.value); say(); });
  slider.addEventListener('change', function () { form.submit(); });
  list.addEventListener('change', function () { slider.value = String(list.selectedIndex); form.submit(); });
  say();
  list.before(slider);
});
// A total that is named in the address, or a record a total points at, is opened.
function open() {
  var named = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (named && named.tagName === 'DETAILS') { named.open = true; }
}
window.addEventListener('hashchange', open);
open();
// While something waits or runs, its state is asked for again.
(function watch() {
  var state = document.querySelector('[data-reload]');
  if (!state) { return; }
  setTimeout(function () {
    fetch(location.href, {credentials: 'same-origin'}).then(function (answer) {
      if (!answer.ok || answer.redirected) { return null; }
      return answer.text();
    }).then(function (text) {
      if (text === null) { return; }
      var fresh = new DOMParser().parseFromString(text, 'text/html').getElementById('state');
      if (fresh) { state.replaceWith(fresh); watch(); }
    }).catch(watch);
  }, Number(state.dataset.reload) * 1000);
})();
