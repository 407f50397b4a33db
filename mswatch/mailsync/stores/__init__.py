"""The stores of mail that mailsync reads and writes; ``contract`` says what each of them must do."""
