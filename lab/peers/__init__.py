"""Other messengers under test, and ours in the browser beside them. What makes the comparison fair:

- Each has its message connection on TCP port 443 of the server, and what it needs besides where it passes best: TURN
  over TLS on port 443 of an address of its own. Servers, accounts and pages are there before the network is bent.
- WebRTC and our page run in the same browser, record by the same taps and have the same microphone: a file, without
  echo cancellation, noise suppression or gain, which would be scored as damage. Everything else is as the browser
  sets it. The tap at the mouth sits behind the audio graph's input, the tap at the ear before its output. WebRTC
  sends from before that input, a buffer to its favour, and is heard through such an input, a buffer against it.
- Somebody speaks a second after the answer. The microphone's room is not digitally silent, so that the first sound is
  the first packet played, whatever is said in it. Where a fake microphone stood still with the machine, the notes say
  how much of the speech was said on time.
- The page restarts ICE at once when the network changes, as good applications do.
- Mumble's clients are scripted: coding, jitter buffer and reconnecting follow its client's defaults, the 50 ms of its
  sound device are left out.
- Processor time is that of all processes of a client over the call, the taps included, as a share of one core.
"""
